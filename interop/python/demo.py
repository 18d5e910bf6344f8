# SPDX-License-Identifier: Apache-2.0
"""Every behaviour of the demo agent through the official Python SDK, A2A 1.0.

python demo.py http://127.0.0.1:8080 JSONRPC HTTP+JSON GRPC
"""

import asyncio
import uuid

import grpc
import httpx

from a2a.client import ClientConfig, ClientFactory, A2ACardResolver
from a2a.client.client import ClientCallContext
from a2a.types.a2a_pb2 import (
    CancelTaskRequest,
    GetTaskPushNotificationConfigRequest,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    SubscribeToTaskRequest,
    TaskPushNotificationConfig,
    TaskState,
)
from a2a.utils import errors
from google.protobuf.json_format import MessageToDict

from harness import (
    arguments,
    check,
    drain,
    equal,
    fails,
    report_versions,
    run_all,
)

RESUME = 'https://github.com/errand-a2a/errand/ext/resume/v1'
ENDS = {'COMPLETED', 'FAILED', 'CANCELED', 'REJECTED', 'INPUT_REQUIRED', 'AUTH_REQUIRED'}
CASES = {}


def case(name, without=None):
    """Adds a case that is written for one way of sending only."""

    def add(run):
        run.without = without
        CASES[name] = run
        return run

    return add


def behaviour(name):
    """Adds a case twice: what the agent does is the same over a stream and in one answer."""

    def add(run):
        for mode in ('stream', 'blocking'):

            async def both(agent, mode=mode):
                send = agent.stream if mode == 'stream' else agent.block
                await run(agent, send)

            CASES[f'{name}/{mode}'] = both
        return run

    return add


def state_of(status):
    return TaskState.Name(status.state).removeprefix('TASK_STATE_')


def text_of(parts):
    return ' '.join(p.text for p in parts)


def sequence_of(event):
    """The place of an event in the log of its task."""
    metadata = MessageToDict(getattr(event, event.WhichOneof('payload'))).get('metadata', {})
    return int(metadata[RESUME]['sequence'])


class Outcome:
    """What a client knows of a task (or of a message) in the end."""

    def __init__(self):
        self.task_id = self.context_id = self.state = self.says = ''
        self.message = None
        self.artifacts = {}
        self.states = []
        self.percents = []
        self.attempts = set()

    def task(self, task):
        self.task_id, self.context_id = task.id, task.context_id
        self.artifacts = {a.artifact_id: list(a.parts) for a in task.artifacts}
        self._status(task.status)

    def _status(self, status):
        self.state, self.says = state_of(status), text_of(status.message.parts)
        self.states.append(self.state)

    def event(self, event):
        kind = event.WhichOneof('payload')
        if kind == 'task':
            self.task(event.task)
        elif kind == 'message':
            self.message = event.message
        elif kind == 'status_update':
            self._status(event.status_update.status)
            self._metadata(MessageToDict(event.status_update).get('metadata', {}))
        elif kind == 'artifact_update':
            self._artifact(event.artifact_update)

    def _metadata(self, metadata):
        for key, value in metadata.items():
            if key.endswith('/ext/progress/v1'):
                self.percents.append(int(value['percent']))
            if key == RESUME:
                self.attempts.add(int(value['attempt']))

    def _artifact(self, update):
        parts = list(update.artifact.parts)
        if update.append:
            parts = self.artifacts[update.artifact.artifact_id] + parts
        self.artifacts[update.artifact.artifact_id] = parts

    def texts(self, artifact):
        return [p.text for p in self.artifacts[artifact]]


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
                    supported_protocol_bindings=[binding],
                )
            ).create(card)

        self.streaming, self.blocking = client(True), client(False)

    async def close(self):
        for client in (self.streaming, self.blocking):
            await client.close()

    @staticmethod
    def request(text, task_id='', context_id=''):
        message = Message(
            message_id=str(uuid.uuid4()),
            role=Role.ROLE_USER,
            parts=[Part(text=text)],
            task_id=task_id,
            context_id=context_id,
        )
        return SendMessageRequest(message=message)

    async def stream(self, text, **ids):
        """Sends over a stream, and holds the stream to the rules of streams."""
        events = await drain(self.streaming.send_message(self.request(text, **ids)))
        outcome = follow(events, first='task' if not ids.get('task_id') else None)
        if not outcome.message:
            await self.same_as_stored(outcome, ids.get('task_id'))
        return outcome

    async def same_as_stored(self, outcome, task_id):
        stored = await self.get(task_id or outcome.task_id)
        outcome.task_id, outcome.context_id = stored.task_id, stored.context_id
        equal(outcome.state, stored.state, 'the state that the stream told and GetTask')
        if not task_id:
            equal(outcome.artifacts, stored.artifacts, 'the artifacts that the stream told and GetTask')

    async def block(self, text, context=None, immediately=False, **ids):
        request = self.request(text, **ids)
        request.configuration.return_immediately = immediately
        events = await drain(self.blocking.send_message(request, context=context))
        equal(len(events), 1, 'answers to a send without a stream')
        outcome = Outcome()
        outcome.event(events[0])
        return outcome

    async def get(self, task_id, **fields):
        outcome = Outcome()
        outcome.task(await self.blocking.get_task(GetTaskRequest(id=task_id, **fields)))
        return outcome

    def subscribe(self, task_id, context=None):
        return self.streaming.subscribe(SubscribeToTaskRequest(id=task_id), context=context)

    async def cancel(self, task_id):
        outcome = Outcome()
        outcome.task(await self.blocking.cancel_task(CancelTaskRequest(id=task_id)))
        return outcome


def follow(events, first):
    """The outcome of a stream: no gap and no repeat, and the end is the end."""
    outcome = Outcome()
    kinds = [e.WhichOneof('payload') for e in events]
    if kinds == ['message']:
        outcome.event(events[0])
        return outcome
    if first:
        equal(kinds[0], first, 'the first frame')
    check('task' not in kinds[1:], f'a second Task frame: {kinds}')
    sequences = [sequence_of(e) for e in events]
    start = sequences[0]
    equal(sequences, list(range(start, start + len(events))), 'the sequences')
    for event in events:
        outcome.event(event)
    ends = [s for s in outcome.states if s in ENDS]
    equal(ends, [outcome.state], 'the final states of the stream')
    equal(kinds[-1], 'status_update', 'the last frame')
    return outcome


@case('card')
async def card(agent):
    named = [i for i in agent.card.supported_interfaces if i.protocol_binding == agent.binding]
    check(named, f'the card does not name {agent.binding}')
    check(any(i.protocol_version == '1.0' for i in named), 'the card does not name version 1.0')
    check(agent.card.capabilities.streaming, 'the card does not announce streaming')
    check({s.id for s in agent.card.skills} >= {'count', 'ask'}, 'the card does not name the skills')


@behaviour('count')
async def count(agent, send):
    got = await send('count to 20')
    equal(got.state, 'COMPLETED', 'state')
    equal(got.texts('count'), [str(i) for i in range(1, 21)], 'numbers')
    if send == agent.stream:
        equal(got.percents, [10, 20, 30, 40, 50, 60, 70, 80, 90], 'progress')


@behaviour('sleep')
async def sleep(agent, send):
    got = await send('sleep 100ms')
    equal(got.state, 'COMPLETED', 'state')


@behaviour('ask')
async def ask(agent, send):
    asked = await send('ask What is your name?')
    equal(asked.state, 'INPUT_REQUIRED', 'state')
    equal(asked.says, 'What is your name?', 'the question')
    got = await send('Ada', task_id=asked.task_id, context_id=asked.context_id)
    equal((got.task_id, got.context_id), (asked.task_id, asked.context_id), 'task and context of the follow-up')
    equal(got.state, 'COMPLETED', 'state after the answer')
    equal(got.texts('echo'), ['Ada'], 'what was echoed')


@behaviour('auth')
async def auth(agent, send):
    asked = await send('auth')
    equal(asked.state, 'AUTH_REQUIRED', 'state')
    got = await send('go on', task_id=asked.task_id)
    equal(got.state, 'COMPLETED', 'state after the follow-up')


@behaviour('fail')
async def fail(agent, send):
    got = await send('fail out of paper')
    equal((got.state, got.says), ('FAILED', 'out of paper'), 'the verdict')


@behaviour('reject')
async def reject(agent, send):
    got = await send('reject not my job')
    equal((got.state, got.says), ('REJECTED', 'not my job'), 'the verdict')


@behaviour('flaky')
async def flaky(agent, send):
    got = await send('flaky 1')
    equal(got.state, 'COMPLETED', 'state')
    check('2' in text_of(got.artifacts['flaky']), 'the artifact does not tell the second attempt')
    if send == agent.stream:
        check(2 in got.attempts, f'the stream told the attempts {got.attempts}')


@behaviour('crash')
async def crash(agent, send):
    got = await send('crash')
    equal(got.state, 'FAILED', 'state')
    check('attempt 2' in got.says, f'the status says {got.says!r}')
    check('panic' not in got.says and 'goroutine' not in got.says, f'internal text: {got.says!r}')


@behaviour('message')
async def message(agent, send):
    got = await send('message hello')
    check(got.message, f'no Message but a task in state {got.state}')
    equal(text_of(got.message.parts), 'hello', 'the text')
    equal(got.message.role, Role.ROLE_AGENT, 'the role')


@behaviour('file')
async def file(agent, send):
    got = await send('file')
    (part,) = got.artifacts['file']
    check(part.raw.startswith(b'A file'), f'the bytes are {part.raw!r}')
    equal((part.filename, part.media_type), ('demo.txt', 'text/plain'), 'name and type')


@behaviour('data')
async def data(agent, send):
    got = await send('data')
    (part,) = got.artifacts['data']
    equal(MessageToDict(part.data)['numbers'], [1, 2, 3], 'the numbers')


@behaviour('echo')
async def echo(agent, send):
    got = await send('echo Grüße, 世界 🌍')
    equal(got.state, 'COMPLETED', 'state')
    equal(got.texts('echo'), ['Grüße, 世界 🌍'], 'what was echoed')


@case('cancel/stream')
async def cancel_stream(agent):
    outcome, canceled = Outcome(), False
    async for event in agent.streaming.send_message(agent.request('hang')):
        outcome.event(event)
        if outcome.state == 'WORKING' and not canceled:
            canceled = True
            answer = await agent.cancel(outcome.task_id)
            equal(answer.state, 'CANCELED', 'the answer to the cancellation')
    equal(outcome.state, 'CANCELED', 'the last state of the stream')


@case('cancel/blocking')
async def cancel_blocking(agent):
    sent = await agent.block('hang', immediately=True)
    check(sent.state in ('SUBMITTED', 'WORKING'), f'returned in state {sent.state}')
    equal((await agent.cancel(sent.task_id)).state, 'CANCELED', 'the answer to the cancellation')
    equal((await agent.get(sent.task_id)).state, 'CANCELED', 'what GetTask says')


@case('get')
async def get(agent):
    sent = await agent.block('count to 3')
    got = await agent.get(sent.task_id)
    equal((got.state, got.texts('count')), ('COMPLETED', ['1', '2', '3']), 'the task')
    task = await agent.blocking.get_task(GetTaskRequest(id=sent.task_id))
    equal([text_of(m.parts) for m in task.history], ['count to 3'], 'history')
    bare = await agent.blocking.get_task(GetTaskRequest(id=sent.task_id, history_length=0))
    equal(len(bare.history), 0, 'history of length 0')


@case('list')
async def list_tasks(agent):
    first = await agent.block('echo 1')
    tasks = [first.task_id]
    for text in ('echo 2', 'fail'):
        tasks.append((await agent.block(text, context_id=first.context_id)).task_id)
    seen, token = [], ''
    for _ in range(3):
        page = await agent.blocking.list_tasks(
            ListTasksRequest(context_id=first.context_id, page_size=2, page_token=token, include_artifacts=True)
        )
        equal(page.total_size, 3, 'the total')
        seen += [t.id for t in page.tasks]
        token = page.next_page_token
        if not token:
            break
    equal(seen, tasks[::-1], 'the newest first, over two pages')
    failed = await agent.blocking.list_tasks(
        ListTasksRequest(context_id=first.context_id, status=TaskState.TASK_STATE_FAILED)
    )
    equal([t.id for t in failed.tasks], tasks[2:], 'the failed ones')


@case('subscribe')
async def subscribe(agent):
    sent = await agent.block('count to 20 every 20ms', immediately=True)
    events = await drain(agent.subscribe(sent.task_id))
    got = follow(events, first='task')
    equal(got.state, 'COMPLETED', 'state')
    equal(got.texts('count'), [str(i) for i in range(1, 21)], 'numbers, in the Task frame and after it')


@case('resume')
async def resume(agent):
    before = []
    stream = agent.streaming.send_message(agent.request('count to 20 every 20ms'))
    async for event in stream:
        before.append(event)
        if len(before) == 5:
            break
    await stream.aclose()
    context = ClientCallContext(service_parameters={'Last-Event-ID': str(sequence_of(before[-1]))})
    after = await drain(agent.subscribe(before[0].task.id, context))
    got = follow(before + after, first='task')
    equal(got.state, 'COMPLETED', 'state')
    equal(got.texts('count'), [str(i) for i in range(1, 21)], 'numbers')


@case('idempotency')
async def idempotency(agent):
    request = agent.request('count to 3')
    context = ClientCallContext(service_parameters={'Idempotency-Key': str(uuid.uuid4())})
    ids = set()
    for _ in range(2):
        (event,) = await drain(agent.blocking.send_message(request, context=context))
        ids.add(event.task.id)
    equal(len(ids), 1, 'tasks of two sends with one key')


@case('unknown task')
async def unknown_task(agent):
    await fails(agent.get('no-such-task'), errors.TaskNotFoundError)
    await fails(agent.cancel('no-such-task'), errors.TaskNotFoundError)
    await fails(drain(agent.subscribe('no-such-task')), errors.TaskNotFoundError)
    await fails(agent.block('echo', task_id='no-such-task'), errors.TaskNotFoundError)
    await fails(agent.stream('echo', task_id='no-such-task'), errors.TaskNotFoundError)


@case('ended task')
async def ended_task(agent):
    ended = (await agent.block('echo')).task_id
    await fails(agent.cancel(ended), errors.TaskNotCancelableError)
    await fails(drain(agent.subscribe(ended)), errors.UnsupportedOperationError)
    await fails(agent.block('again', task_id=ended), errors.UnsupportedOperationError)
    await fails(agent.stream('again', task_id=ended), errors.UnsupportedOperationError)


@case('invalid message')
async def invalid_message(agent):
    request = agent.request('')
    del request.message.parts[:]
    await fails(drain(agent.blocking.send_message(request)), errors.InvalidParamsError)


# The SDK's gRPC transport sends its own version before the one given here, so
# that no request of it names an unknown version alone.
@case('unknown version', without='GRPC')
async def unknown_version(agent):
    context = ClientCallContext(service_parameters={'A2A-Version': '9.9'})
    await fails(agent.block('echo', context=context), errors.VersionNotSupportedError)


@case('push')
async def push(agent):
    sent = await agent.block('echo')
    config = TaskPushNotificationConfig(task_id=sent.task_id, id='one', url='https://example.com/hook')
    if agent.card.capabilities.push_notifications:
        await agent.blocking.create_task_push_notification_config(config)
        got = await agent.blocking.get_task_push_notification_config(
            GetTaskPushNotificationConfigRequest(task_id=sent.task_id, id='one')
        )
        equal(got.url, config.url, 'the address')
        return
    await fails(
        agent.blocking.create_task_push_notification_config(config),
        errors.PushNotificationNotSupportedError,
    )


async def main():
    report_versions('a2a-sdk', 'grpcio', 'httpx', 'protobuf')
    url, bindings = arguments()
    async with httpx.AsyncClient(timeout=30) as http:

        async def connect(binding):
            card = await A2ACardResolver(http, url).get_agent_card()
            return Agent(card, binding, http, grpc.aio.insecure_channel)

        await run_all(CASES, bindings, connect)


asyncio.run(main())
