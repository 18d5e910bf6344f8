# SPDX-License-Identifier: Apache-2.0
"""What the Python scripts share: running cases and telling the Go test.

Every line on stdout is one JSON object: first the versions in use, then one
object {binding, case, ok, detail} for each case and binding. A script has no
opinion on which cases there must be; the Go test has the list.
"""

import asyncio
import importlib.metadata
import json
import platform
import sys
import traceback

# A case that takes longer hangs: the longest waits for one backoff of a second.
CASE_SECONDS = 60


class Unexpected(AssertionError):
    """The server or the SDK did something else than the case expects."""


def check(condition, what):
    """Says what is wrong, which a bare assert would not."""
    if not condition:
        raise Unexpected(what)


def equal(got, want, what):
    check(got == want, f'{what}: got {got!r}, want {want!r}')


async def fails(call, *kinds):
    """The error that a call must end with, which must be of one of the kinds."""
    try:
        got = await call
    except kinds as e:
        return e
    raise Unexpected(f'got {got!r}, want {" or ".join(k.__name__ for k in kinds)}')


async def drain(stream):
    """All events of a stream that ends by itself."""
    return [event async for event in stream]


def say(**fields):
    print(json.dumps(fields), flush=True)


async def run_all(cases, bindings, connect):
    """Runs every case over every binding; what connect raises fails each case of that binding."""
    for binding in bindings:
        agent, broken = None, None
        try:
            agent = await connect(binding)
        except Exception as e:  # noqa: BLE001, reported with every case
            broken = e
        for name, run in cases.items():
            if getattr(run, 'without', None) != binding:
                await run_case(binding, name, run, agent, broken)
        if agent:
            await agent.close()


async def run_case(binding, name, run, agent, broken):
    try:
        if broken:
            raise broken
        async with asyncio.timeout(CASE_SECONDS):
            await run(agent)
        say(binding=binding, case=name, ok=True, detail='')
    except Exception:  # noqa: BLE001, whatever it is belongs to this case alone
        say(binding=binding, case=name, ok=False, detail=traceback.format_exc())


def report_versions(*packages):
    versions = {p: importlib.metadata.version(p) for p in packages}
    versions['python'] = platform.python_version()
    say(versions=versions)


def arguments():
    """The server's URL and the bindings to use."""
    url, *bindings = sys.argv[1:]
    return url, bindings
