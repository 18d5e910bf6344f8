# SPDX-License-Identifier: Apache-2.0
"""Every behaviour of the demo agent through the last Python SDK of A2A 0.3.

python demo_v03.py http://127.0.0.1:8080 JSONRPC HTTP+JSON GRPC
"""

import asyncio
import base64
import uuid

import grpc
import httpx

from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.client.errors import A2AClientHTTPError, A2AClientJSONRPCError
from a2a.types import (
    Message,
    MessageSendConfiguration,
    Part,
    PushNotificationConfig,
    Role,
    TaskIdParams,
    TaskPushNotificationConfig,
    TaskQueryParams,
    TaskStatusUpdateEvent,
    TextPart,
)

from harness import (
    Unexpected,
    arguments,
    check,
    drain,
    equal,
    report_versions,
    run_all,
)

# How each binding names an error: a code of JSON-RPC, a status of HTTP or one
# of gRPC. Over HTTP+JSON and gRPC this SDK shows no more than that, and 0.3
# says of the statuses only that they must be appropriate: there are two each.
NOT_FOUND = {'JSONRPC': [-32001], 'HTTP+JSON': [404], 'GRPC': ['NOT_FOUND']}
NOT_CANCELABLE = {'JSONRPC': [-32002], 'HTTP+JSON': [400, 409], 'GRPC': ['FAILED_PRECONDITION', 'UNIMPLEMENTED']}
NO_PUSH = {'JSONRPC': [-32003], 'HTTP+JSON': [400, 501], 'GRPC': ['FAILED_PRECONDITION', 'UNIMPLEMENTED']}
UNSUPPORTED = {'JSONRPC': [-32004], 'HTTP+JSON': [400, 501], 'GRPC': ['FAILED_PRECONDITION', 'UNIMPLEMENTED']}

CASES = {}


def case(name):
    """Adds a case that is written for one way of sending only."""

    def add(run):
        CASES[name] = run
        return run

    return add


def behaviour(name):
    """Adds a case twice: what the agent does is the same over a stream and in one answer."""

    def add(run):
        for mode in ('stream', 'blocking'):

            async def both(agent, mode=mode):
                await run(agent, agent.stream if mode == 'stream' else agent.block)

            CASES[f'{name}/{mode}'] = both
        return run

    return add


def text_of(parts):
    return ' '.join(p.root.text for p in parts)


class Outcome:
    """What a client knows of a task (or of a message) in the end."""

    def __init__(self, result):
        self.message = result if isinstance(result, Message) else None
        if self.message:
            return
        self.task_id, self.context_id = result.id, result.context_id
        self.state = result.status.state.value
        message = result.status.message
        self.says = text_of(message.parts) if message else ''
        self.artifacts = {a.artifact_id: a.parts for a in result.artifacts or []}

    def texts(self, artifact):
        return [p.root.text for p in self.artifacts[artifact]]


class Agent:
    """The demo agent as the SDK's client of one binding sees it."""

    def __init__(self, card, binding, http, channels):
        self.card, self.binding = card, binding

        def client(streaming):
            return ClientFactory(
                ClientConfig(
                    streaming=streaming,
                    httpx_client=http,
                    grpc_channel_factory=channels,
                    supported_transports=[binding],
                )
            ).create(card)

        self.streaming, self.blocking = client(True), client(False)

    async def close(self):
        # The clients of both HTTP bindings share the connections of the script.
        if self.binding == 'GRPC':
            await self.streaming.close()
            await self.blocking.close()

    @staticmethod
    def message(text, **ids):
        return Message(
            message_id=str(uuid.uuid4()),
            role=Role.user,
            parts=[Part(root=TextPart(text=text))],
            **ids,
        )

    async def stream(self, text, **ids):
        """Sends over a stream, and holds the stream to the rules of streams."""
        events = await drain(self.streaming.send_message(self.message(text, **ids)))
        if isinstance(events[0], Message):
            equal(len(events), 1, 'frames of a stream that begins with a Message')
            return Outcome(events[0])
        outcome = follow(events, first_is_task='task_id' not in ids)
        stored = await self.get(outcome.task_id)
        equal(outcome.state, stored.state, 'the state that the stream told and tasks/get')
        if 'task_id' not in ids:
            equal(outcome.artifacts, stored.artifacts, 'the artifacts that the stream told and tasks/get')
        return outcome

    async def block(self, text, immediately=False, **ids):
        configuration = MessageSendConfiguration(blocking=not immediately)
        answers = await drain(self.blocking.send_message(self.message(text, **ids), configuration=configuration))
        equal(len(answers), 1, 'answers to a send without a stream')
        answer = answers[0]
        return Outcome(answer if isinstance(answer, Message) else answer[0])

    async def get(self, task_id):
        return Outcome(await self.blocking.get_task(TaskQueryParams(id=task_id)))

    async def cancel(self, task_id):
        return Outcome(await self.blocking.cancel_task(TaskIdParams(id=task_id)))

    def subscribe(self, task_id):
        return self.streaming.resubscribe(TaskIdParams(id=task_id))

    async def refused(self, call, error):
        """A call that must end with an error of one kind."""
        want = error[self.binding]
        try:
            got = await call
        except A2AClientJSONRPCError as e:
            code = e.error.code
        except A2AClientHTTPError as e:
            code = e.status_code
        except grpc.aio.AioRpcError as e:
            code = e.code().name
        else:
            raise Unexpected(f'got {got!r}, want one of {want}')
        check(code in want, f'code or status {code}, want one of {want}')


def follow(events, first_is_task):
    """The outcome of a stream as the SDK folds it; only its last event is final."""
    updates = [update for _, update in events]
    if first_is_task:
        equal(updates[0], None, 'the first frame, which is the Task')
    finals = [i for i, u in enumerate(updates) if isinstance(u, TaskStatusUpdateEvent) and u.final]
    equal(finals, [len(events) - 1], 'the final events of the stream')
    return Outcome(events[-1][0])


@case('card')
async def card(agent):
    named = {agent.card.preferred_transport} | {i.transport for i in agent.card.additional_interfaces or []}
    check(agent.binding in named, f'the card names {named}')
    check(agent.card.protocol_version.startswith('0.3'), f'the card says version {agent.card.protocol_version}')
    check(agent.card.capabilities.streaming, 'the card does not announce streaming')


@behaviour('count')
async def count(agent, send):
    got = await send('count to 20')
    equal(got.state, 'completed', 'state')
    equal(got.texts('count'), [str(i) for i in range(1, 21)], 'numbers')


@behaviour('sleep')
async def sleep(agent, send):
    equal((await send('sleep 100ms')).state, 'completed', 'state')


@behaviour('ask')
async def ask(agent, send):
    asked = await send('ask What is your name?')
    equal((asked.state, asked.says), ('input-required', 'What is your name?'), 'the question')
    got = await send('Ada', task_id=asked.task_id, context_id=asked.context_id)
    equal((got.task_id, got.context_id), (asked.task_id, asked.context_id), 'task and context of the follow-up')
    equal((got.state, got.texts('echo')), ('completed', ['Ada']), 'what was echoed')


@behaviour('auth')
async def auth(agent, send):
    asked = await send('auth')
    equal(asked.state, 'auth-required', 'state')
    equal((await send('go on', task_id=asked.task_id)).state, 'completed', 'state after the follow-up')


@behaviour('fail')
async def fail(agent, send):
    got = await send('fail out of paper')
    equal((got.state, got.says), ('failed', 'out of paper'), 'the verdict')


@behaviour('reject')
async def reject(agent, send):
    got = await send('reject not my job')
    equal((got.state, got.says), ('rejected', 'not my job'), 'the verdict')


@behaviour('flaky')
async def flaky(agent, send):
    got = await send('flaky 1')
    equal(got.state, 'completed', 'state')
    check('2' in text_of(got.artifacts['flaky']), 'the artifact does not tell the second attempt')


@behaviour('crash')
async def crash(agent, send):
    got = await send('crash')
    equal(got.state, 'failed', 'state')
    check('attempt 2' in got.says, f'the status says {got.says!r}')
    check('panic' not in got.says and 'goroutine' not in got.says, f'internal text: {got.says!r}')


@behaviour('message')
async def message(agent, send):
    got = await send('message hello')
    check(got.message, 'no Message but a task')
    equal((text_of(got.message.parts), got.message.role), ('hello', Role.agent), 'text and role')


@behaviour('file')
async def file(agent, send):
    (part,) = (await send('file')).artifacts['file']
    equal(part.root.kind, 'file', 'the kind of the part')
    content = base64.b64decode(part.root.file.bytes)
    check(content.startswith(b'A file'), f'the bytes are {content!r}')
    equal(part.root.file.mime_type, 'text/plain', 'the type')


@behaviour('data')
async def data(agent, send):
    (part,) = (await send('data')).artifacts['data']
    equal(part.root.kind, 'data', 'the kind of the part')
    equal(part.root.data['numbers'], [1, 2, 3], 'the numbers')


@behaviour('echo')
async def echo(agent, send):
    got = await send('echo Grüße, 世界 🌍')
    equal((got.state, got.texts('echo')), ('completed', ['Grüße, 世界 🌍']), 'what was echoed')


@case('cancel/stream')
async def cancel_stream(agent):
    canceled, state = False, ''
    async for task, _ in agent.streaming.send_message(agent.message('hang')):
        state = task.status.state.value
        if state == 'working' and not canceled:
            canceled = True
            equal((await agent.cancel(task.id)).state, 'canceled', 'the answer to the cancellation')
    equal(state, 'canceled', 'the last state of the stream')


@case('cancel/blocking')
async def cancel_blocking(agent):
    sent = await agent.block('hang', immediately=True)
    check(sent.state in ('submitted', 'working'), f'returned in state {sent.state}')
    equal((await agent.cancel(sent.task_id)).state, 'canceled', 'the answer to the cancellation')
    equal((await agent.get(sent.task_id)).state, 'canceled', 'what tasks/get says')


@case('get')
async def get(agent):
    sent = await agent.block('ask your name')
    await agent.block('Ada', task_id=sent.task_id)
    task = await agent.blocking.get_task(TaskQueryParams(id=sent.task_id))
    equal([text_of(m.parts) for m in task.history], ['ask your name', 'your name', 'Ada'], 'history')
    last = await agent.blocking.get_task(TaskQueryParams(id=sent.task_id, history_length=1))
    equal([text_of(m.parts) for m in last.history], ['Ada'], 'history of length 1')


@case('subscribe')
async def subscribe(agent):
    sent = await agent.block('count to 20 every 20ms', immediately=True)
    got = follow(await drain(agent.subscribe(sent.task_id)), first_is_task=True)
    equal((got.state, got.texts('count')), ('completed', [str(i) for i in range(1, 21)]), 'numbers')


def of_a_subscription(error):
    """The error as this SDK shows it on a subscription over HTTP+JSON: it reads
    the refusal as a stream and calls any status an invalid one, 400."""
    return {**error, 'HTTP+JSON': [400]}


@case('unknown task')
async def unknown_task(agent):
    await agent.refused(agent.get('no-such-task'), NOT_FOUND)
    await agent.refused(agent.cancel('no-such-task'), NOT_FOUND)
    await agent.refused(agent.block('echo', task_id='no-such-task'), NOT_FOUND)
    await agent.refused(agent.stream('echo', task_id='no-such-task'), NOT_FOUND)
    await agent.refused(drain(agent.subscribe('no-such-task')), of_a_subscription(NOT_FOUND))


@case('ended task')
async def ended_task(agent):
    ended = (await agent.block('echo')).task_id
    await agent.refused(agent.cancel(ended), NOT_CANCELABLE)
    await agent.refused(drain(agent.subscribe(ended)), of_a_subscription(UNSUPPORTED))
    await agent.refused(agent.block('again', task_id=ended), UNSUPPORTED)
    await agent.refused(agent.stream('again', task_id=ended), UNSUPPORTED)


@case('push')
async def push(agent):
    sent = await agent.block('echo')
    config = TaskPushNotificationConfig(
        task_id=sent.task_id,
        push_notification_config=PushNotificationConfig(id='one', url='https://example.com/hook'),
    )
    if agent.card.capabilities.push_notifications:
        got = await agent.blocking.set_task_callback(config)
        equal(got.push_notification_config.url, config.push_notification_config.url, 'the address')
        return
    await agent.refused(agent.blocking.set_task_callback(config), NO_PUSH)


async def main():
    report_versions('a2a-sdk', 'grpcio', 'httpx', 'protobuf')
    url, bindings = arguments()
    async with httpx.AsyncClient(timeout=30) as http:

        async def connect(binding):
            card = await A2ACardResolver(http, url).get_agent_card()
            return Agent(card, binding, http, grpc.aio.insecure_channel)

        await run_all(CASES, bindings, connect)


asyncio.run(main())
