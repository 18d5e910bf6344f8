// SPDX-License-Identifier: Apache-2.0

// Every behaviour of the demo agent through the official JavaScript SDK, A2A 1.0.
//
// node demo.mjs http://127.0.0.1:8080 JSONRPC HTTP+JSON GRPC

import { randomUUID } from 'node:crypto';
import { Role, TaskState } from '@a2a-js/sdk';
import { ClientFactory, JsonRpcTransportFactory, RestTransportFactory } from '@a2a-js/sdk/client';
import { GrpcTransportFactory } from '@a2a-js/sdk/client/grpc';
import * as errors from '@a2a-js/sdk/errors';
import { check, drain, equal, fails, numbers, reportVersions, runAll } from './harness.mjs';

const RESUME = 'https://github.com/errand-a2a/errand/ext/resume/v1';
const PROGRESS = 'https://github.com/errand-a2a/errand/ext/progress/v1';
const ENDS = new Set(['COMPLETED', 'FAILED', 'CANCELED', 'REJECTED', 'INPUT_REQUIRED', 'AUTH_REQUIRED']);

const cases = new Map();

/** Adds a case that is written for one way of sending only. */
function one(name, run, without) {
  cases.set(name, { run, without });
}

/** Adds a case twice: what the agent does is the same over a stream and in one answer. */
function behaviour(name, run) {
  one(`${name}/stream`, (agent) => run(agent, agent.stream.bind(agent), true));
  one(`${name}/blocking`, (agent) => run(agent, agent.block.bind(agent), false));
}

const stateOf = (status) => TaskState[status.state].replace('TASK_STATE_', '');
const textOf = (parts) => parts.map((p) => p.content?.value).join(' ');
const sequenceOf = (event) => event.payload.value.metadata[RESUME].sequence;

/** What a client knows of a task (or of a message) in the end. */
class Outcome {
  states = [];
  percents = [];
  attempts = new Set();
  artifacts = {};

  static of(task) {
    const outcome = new Outcome();
    outcome.task(task);
    return outcome;
  }

  task(task) {
    this.taskId = task.id;
    this.contextId = task.contextId;
    this.artifacts = Object.fromEntries(task.artifacts.map((a) => [a.artifactId, a.parts]));
    this.status(task.status);
  }

  status(status) {
    this.state = stateOf(status);
    this.says = status.message ? textOf(status.message.parts) : '';
    this.states.push(this.state);
  }

  event({ payload: { $case: kind, value } }) {
    if (kind === 'task') this.task(value);
    if (kind === 'message') this.message = value;
    if (kind === 'artifactUpdate') {
      const { artifactId, parts } = value.artifact;
      this.artifacts[artifactId] = value.append ? [...this.artifacts[artifactId], ...parts] : parts;
    }
    if (kind === 'statusUpdate') {
      this.status(value.status);
      this.attempts.add(value.metadata[RESUME].attempt);
      if (value.metadata[PROGRESS]) this.percents.push(value.metadata[PROGRESS].percent);
    }
  }

  texts(artifact) {
    return this.artifacts[artifact].map((p) => p.content.value);
  }
}

/** The outcome of a stream: no gap and no repeat, and the end is the end. */
function follow(events, first) {
  const outcome = new Outcome();
  const kinds = events.map((e) => e.payload.$case);
  if (kinds.length === 1 && kinds[0] === 'message') {
    outcome.event(events[0]);
    return outcome;
  }
  if (first) equal(kinds[0], first, 'the first frame');
  check(!kinds.slice(1).includes('task'), `a second Task frame: ${kinds}`);
  const start = sequenceOf(events[0]);
  equal(events.map(sequenceOf), events.map((_, i) => start + i), 'the sequences');
  events.forEach((e) => outcome.event(e));
  equal(outcome.states.filter((s) => ENDS.has(s)), [outcome.state], 'the final states of the stream');
  equal(kinds.at(-1), 'statusUpdate', 'the last frame');
  return outcome;
}

/** The demo agent as the SDK's client of one binding sees it. */
class Agent {
  constructor(client, card, binding) {
    Object.assign(this, { client, card, binding });
  }

  static async connect(url, binding) {
    const factory = new ClientFactory({
      transports: [
        { 'JSONRPC': new JsonRpcTransportFactory(), 'HTTP+JSON': new RestTransportFactory(), 'GRPC': new GrpcTransportFactory() }[binding],
      ],
    });
    const client = await factory.createFromUrl(url);
    equal(client.transport.protocolName, binding, 'the binding of the client');
    return new Agent(client, await client.getAgentCard(), binding);
  }

  request(text, { taskId = '', contextId = '', immediately = false } = {}) {
    const part = { content: { $case: 'text', value: text }, metadata: undefined, filename: '', mediaType: '' };
    const message = {
      messageId: randomUUID(), role: Role.ROLE_USER, parts: [part], taskId, contextId,
      metadata: undefined, extensions: [], referenceTaskIds: [],
    };
    const configuration = { acceptedOutputModes: [], taskPushNotificationConfig: undefined, returnImmediately: immediately };
    return { tenant: '', message, configuration, metadata: undefined };
  }

  /** Sends over a stream, and holds the stream to the rules of streams. */
  async stream(text, ids = {}) {
    const events = await drain(this.client.sendMessageStream(this.request(text, ids)));
    const outcome = follow(events, ids.taskId ? undefined : 'task');
    if (!outcome.message) await this.sameAsStored(outcome, ids.taskId);
    return outcome;
  }

  async sameAsStored(outcome, taskId) {
    const stored = await this.get(taskId ?? outcome.taskId);
    equal(outcome.state, stored.state, 'the state that the stream told and GetTask');
    if (!taskId) equal(outcome.artifacts, stored.artifacts, 'the artifacts that the stream told and GetTask');
    Object.assign(outcome, { taskId: stored.taskId, contextId: stored.contextId });
  }

  async block(text, { options, ...ids } = {}) {
    const result = await this.client.sendMessage(this.request(text, ids), options);
    const outcome = new Outcome();
    if ('messageId' in result) outcome.message = result;
    else outcome.task(result);
    return outcome;
  }

  async get(id, more = {}) {
    return Outcome.of(await this.client.getTask({ tenant: '', id, ...more }));
  }

  async cancel(id) {
    return Outcome.of(await this.client.cancelTask({ tenant: '', id, metadata: undefined }));
  }

  subscribe(id, options) {
    return this.client.resubscribeTask({ tenant: '', id }, options);
  }
}

one('card', async (agent) => {
  const named = agent.card.supportedInterfaces.filter((i) => i.protocolBinding === agent.binding);
  check(named.some((i) => i.protocolVersion === '1.0'), 'the card does not name the binding in version 1.0');
  check(agent.card.capabilities.streaming, 'the card does not announce streaming');
  equal(agent.client.protocolVersion, '1.0', 'the version that the client speaks');
});

behaviour('count', async (agent, send, streamed) => {
  const got = await send('count to 20');
  equal(got.state, 'COMPLETED', 'state');
  equal(got.texts('count'), numbers(20), 'numbers');
  if (streamed) equal(got.percents, [10, 20, 30, 40, 50, 60, 70, 80, 90], 'progress');
});

behaviour('sleep', async (agent, send) => {
  equal((await send('sleep 100ms')).state, 'COMPLETED', 'state');
});

behaviour('ask', async (agent, send) => {
  const asked = await send('ask What is your name?');
  equal([asked.state, asked.says], ['INPUT_REQUIRED', 'What is your name?'], 'the question');
  const got = await send('Ada', { taskId: asked.taskId, contextId: asked.contextId });
  equal([got.taskId, got.contextId], [asked.taskId, asked.contextId], 'task and context of the follow-up');
  equal([got.state, got.texts('echo')], ['COMPLETED', ['Ada']], 'what was echoed');
});

behaviour('auth', async (agent, send) => {
  const asked = await send('auth');
  equal(asked.state, 'AUTH_REQUIRED', 'state');
  equal((await send('go on', { taskId: asked.taskId })).state, 'COMPLETED', 'state after the follow-up');
});

behaviour('fail', async (agent, send) => {
  const got = await send('fail out of paper');
  equal([got.state, got.says], ['FAILED', 'out of paper'], 'the verdict');
});

behaviour('reject', async (agent, send) => {
  const got = await send('reject not my job');
  equal([got.state, got.says], ['REJECTED', 'not my job'], 'the verdict');
});

behaviour('flaky', async (agent, send, streamed) => {
  const got = await send('flaky 1');
  equal(got.state, 'COMPLETED', 'state');
  check(textOf(got.artifacts.flaky).includes('2'), 'the artifact does not tell the second attempt');
  if (streamed) check(got.attempts.has(2), `the stream told the attempts ${[...got.attempts]}`);
});

behaviour('crash', async (agent, send) => {
  const got = await send('crash');
  equal(got.state, 'FAILED', 'state');
  check(got.says.includes('attempt 2'), `the status says ${got.says}`);
  check(!/panic|goroutine/.test(got.says), `internal text: ${got.says}`);
});

behaviour('message', async (agent, send) => {
  const got = await send('message hello');
  check(got.message, `no Message but a task in state ${got.state}`);
  equal([textOf(got.message.parts), got.message.role], ['hello', Role.ROLE_AGENT], 'text and role');
});

behaviour('file', async (agent, send) => {
  const [part] = (await send('file')).artifacts.file;
  equal(part.content.$case, 'raw', 'the kind of the part');
  check(Buffer.from(part.content.value).toString().startsWith('A file'), 'the bytes are others');
  equal([part.filename, part.mediaType], ['demo.txt', 'text/plain'], 'name and type');
});

behaviour('data', async (agent, send) => {
  const [part] = (await send('data')).artifacts.data;
  equal(part.content.$case, 'data', 'the kind of the part');
  equal(part.content.value.numbers, [1, 2, 3], 'the numbers');
});

behaviour('echo', async (agent, send) => {
  const got = await send('echo Grüße, 世界 🌍');
  equal([got.state, got.texts('echo')], ['COMPLETED', ['Grüße, 世界 🌍']], 'what was echoed');
});

one('cancel/stream', async (agent) => {
  const outcome = new Outcome();
  let canceled = false;
  for await (const event of agent.client.sendMessageStream(agent.request('hang'))) {
    outcome.event(event);
    if (outcome.state === 'WORKING' && !canceled) {
      canceled = true;
      equal((await agent.cancel(outcome.taskId)).state, 'CANCELED', 'the answer to the cancellation');
    }
  }
  equal(outcome.state, 'CANCELED', 'the last state of the stream');
});

one('cancel/blocking', async (agent) => {
  const sent = await agent.block('hang', { immediately: true });
  check(['SUBMITTED', 'WORKING'].includes(sent.state), `returned in state ${sent.state}`);
  equal((await agent.cancel(sent.taskId)).state, 'CANCELED', 'the answer to the cancellation');
  equal((await agent.get(sent.taskId)).state, 'CANCELED', 'what GetTask says');
});

one('get', async (agent) => {
  const sent = await agent.block('count to 3');
  const got = await agent.get(sent.taskId);
  equal([got.state, got.texts('count')], ['COMPLETED', numbers(3)], 'the task');
  const task = await agent.client.getTask({ tenant: '', id: sent.taskId });
  equal(task.history.map((m) => textOf(m.parts)), ['count to 3'], 'history');
  const bare = await agent.client.getTask({ tenant: '', id: sent.taskId, historyLength: 0 });
  equal(bare.history.length, 0, 'history of length 0');
});

one('list', async (agent) => {
  const { taskId, contextId } = await agent.block('echo 1');
  const tasks = [taskId];
  for (const text of ['echo 2', 'fail']) tasks.push((await agent.block(text, { contextId })).taskId);
  const list = (more) =>
    agent.client.listTasks({ tenant: '', contextId, status: 0, pageToken: '', statusTimestampAfter: undefined, ...more });
  const seen = [];
  let pageToken = '';
  for (let i = 0; i < 3; i++) {
    const page = await list({ pageSize: 2, pageToken });
    equal(page.totalSize, 3, 'the total');
    seen.push(...page.tasks.map((t) => t.id));
    pageToken = page.nextPageToken;
    if (!pageToken) break;
  }
  equal(seen, [...tasks].reverse(), 'the newest first, over two pages');
  const failed = await list({ status: TaskState.TASK_STATE_FAILED });
  equal(failed.tasks.map((t) => t.id), tasks.slice(2), 'the failed ones');
});

one('subscribe', async (agent) => {
  const sent = await agent.block('count to 20 every 20ms', { immediately: true });
  const got = follow(await drain(agent.subscribe(sent.taskId)), 'task');
  equal([got.state, got.texts('count')], ['COMPLETED', numbers(20)], 'numbers, in the Task frame and after it');
});

one('resume', async (agent) => {
  const before = [];
  for await (const event of agent.client.sendMessageStream(agent.request('count to 20 every 20ms'))) {
    before.push(event);
    if (before.length === 5) break;
  }
  const options = { serviceParameters: { 'Last-Event-ID': String(sequenceOf(before.at(-1))) } };
  const after = await drain(agent.subscribe(before[0].payload.value.id, options));
  const got = follow([...before, ...after], 'task');
  equal([got.state, got.texts('count')], ['COMPLETED', numbers(20)], 'numbers');
});

one('idempotency', async (agent) => {
  const request = agent.request('count to 3');
  const options = { serviceParameters: { 'Idempotency-Key': randomUUID() } };
  const first = await agent.client.sendMessage(request, options);
  const second = await agent.client.sendMessage(request, options);
  equal(second.id, first.id, 'the task of the second send with one key');
});

// The SDK gives every error the name of its kind, over every binding. It hides
// those of JSON-RPC streams as the cause of a plain Error.
const named = (name) => (e) => {
  const error = e instanceof errors.A2AError ? e : e.cause;
  return error instanceof errors.A2AError && error.name.endsWith(name);
};

one('unknown task', async (agent) => {
  for (const call of [
    () => agent.get('no-such-task'),
    () => agent.cancel('no-such-task'),
    () => drain(agent.subscribe('no-such-task')),
    () => agent.block('echo', { taskId: 'no-such-task' }),
    () => agent.stream('echo', { taskId: 'no-such-task' }),
  ]) {
    await fails(call, named('TaskNotFoundError'), 'TaskNotFoundError');
  }
});

one('ended task', async (agent) => {
  const { taskId } = await agent.block('echo');
  await fails(() => agent.cancel(taskId), named('TaskNotCancelableError'), 'TaskNotCancelableError');
  for (const call of [
    () => drain(agent.subscribe(taskId)),
    () => agent.block('again', { taskId }),
    () => agent.stream('again', { taskId }),
  ]) {
    await fails(call, named('UnsupportedOperationError'), 'UnsupportedOperationError');
  }
});

one('invalid message', async (agent) => {
  const request = agent.request('');
  request.message.parts = [];
  await fails(() => agent.client.sendMessage(request), named('RequestMalformedError'), 'RequestMalformedError');
});

one('push', async (agent) => {
  const { taskId } = await agent.block('echo');
  const config = { tenant: '', id: 'one', taskId, url: 'https://example.com/hook', token: '', authentication: undefined };
  // The transport, because the client itself refuses what the card does not announce.
  const { transport } = agent.client;
  if (agent.card.capabilities.pushNotifications) {
    await transport.createTaskPushNotificationConfig(config);
    const got = await transport.getTaskPushNotificationConfig({ tenant: '', taskId, id: 'one' });
    equal(got.url, config.url, 'the address');
    return;
  }
  await fails(
    () => transport.createTaskPushNotificationConfig(config),
    named('PushNotificationNotSupportedError'),
    'PushNotificationNotSupportedError',
  );
});

reportVersions('@a2a-js/sdk', '@grpc/grpc-js', '@bufbuild/protobuf');
const [url, ...bindings] = process.argv.slice(2);
await runAll(cases, bindings, (binding) => Agent.connect(url, binding));
// A case that hung has left a stream open, which would keep the process.
process.exit(0);
