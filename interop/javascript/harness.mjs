// SPDX-License-Identifier: Apache-2.0

// What the JavaScript scripts share: running cases and telling the Go test.
// Every line on stdout is one JSON object: first the versions in use, then
// one object {binding, case, ok, detail} for each case and binding.

import { readFileSync } from 'node:fs';
import { isDeepStrictEqual, inspect } from 'node:util';

// A case that takes longer hangs: the longest waits for one backoff of a second.
const CASE_MILLISECONDS = 60_000;

export function check(condition, what) {
  if (!condition) throw new Error(what);
}

export function equal(got, want, what) {
  check(isDeepStrictEqual(got, want), `${what}: got ${inspect(got)}, want ${inspect(want)}`);
}

/** The error that a call must end with, which must satisfy is. */
export async function fails(call, is, want) {
  let got;
  try {
    got = await call();
  } catch (e) {
    check(is(e), `want ${want}, got ${inspect(e)}`);
    return;
  }
  throw new Error(`want ${want}, got ${inspect(got)}`);
}

/** All events of a stream that ends by itself. */
export async function drain(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

export const numbers = (n) => Array.from({ length: n }, (_, i) => String(i + 1));

export function say(line) {
  process.stdout.write(JSON.stringify(line) + '\n');
}

export async function runCase(binding, name, run) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${CASE_MILLISECONDS} ms`)), CASE_MILLISECONDS);
  });
  try {
    await Promise.race([run(), late]);
    say({ binding, case: name, ok: true, detail: '' });
  } catch (e) {
    say({ binding, case: name, ok: false, detail: inspect(e, { depth: 4 }) });
  } finally {
    clearTimeout(timer);
  }
}

/** Runs every case over every binding; what connect throws, no case of that binding survives. */
export async function runAll(cases, bindings, connect) {
  for (const binding of bindings) {
    let agent, broken;
    try {
      agent = await connect(binding);
    } catch (e) {
      broken = e;
    }
    for (const [name, { run, without }] of cases) {
      if (without === binding) continue;
      await runCase(binding, name, async () => {
        if (broken) throw broken;
        await run(agent);
      });
    }
  }
}

export function reportVersions(...packages) {
  const versions = { node: process.versions.node };
  for (const name of packages) {
    const path = new URL(`./node_modules/${name}/package.json`, import.meta.url);
    const { name: real, version } = JSON.parse(readFileSync(path));
    versions[real] = version;
  }
  say({ versions });
}
