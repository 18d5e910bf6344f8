// SPDX-License-Identifier: Apache-2.0

// Every behaviour of the demo agent through the last JavaScript SDK of A2A 0.3.
//
// node demo_v03.mjs http://127.0.0.1:8080 JSONRPC HTTP+JSON GRPC

import { randomUUID } from 'node:crypto';
import * as sdk from 'a2a-sdk-v03/client';
import { GrpcTransportFactory } from 'a2a-sdk-v03/client/grpc';
import { check, drain, equal, fails, numbers, reportVersions, runAll } from './harness.mjs';

const cases = new Map();

/** Adds a case that is written for one way of sending only. */
function one(name, run) {
  cases.set(name, { run });
}

/** Adds a case twice: what the agent does is the same over a stream and in one answer. */
function behaviour(name, run) {
  one(`${name}/stream`, (agent) => run(agent, agent.stream.bind(agent)));
  one(`${name}/blocking`, (agent) => run(agent, agent.block.bind(agent)));
}

const textOf = (parts) => parts.map((p) => p.text).join(' ');

// Two bugs of the SDK over the bindings that it reads as Protobuf, HTTP+JSON
// and gRPC. It drops `append` of an artifact update; as the demo agent never
// sends an artifact twice, a further update can only be an append.
const appends = (update, known) => update.append ?? known;
// And it takes the bytes of a file for the content, where every other SDK of
// 0.3 puts the base64 text of the content there.
const contentOf = (file, binding) => {
  const bytes = Buffer.from(file.bytes, 'base64');
  return binding === 'JSONRPC' ? bytes.toString() : Buffer.from(bytes.toString(), 'base64').toString();
};

/** What a client knows of a task (or of a message) in the end. */
class Outcome {
  artifacts = {};

  static of(...results) {
    const outcome = new Outcome();
    results.forEach((r) => outcome.event(r));
    return outcome;
  }

  event(result) {
    if (result.kind === 'message') {
      this.message = result;
      return;
    }
    this.taskId = result.taskId ?? result.id;
    this.contextId = result.contextId;
    for (const a of result.artifacts ?? []) this.artifacts[a.artifactId] = a.parts;
    if (result.kind === 'artifact-update') {
      const { artifactId, parts } = result.artifact;
      const known = this.artifacts[artifactId];
      this.artifacts[artifactId] = appends(result, Boolean(known)) ? [...known, ...parts] : parts;
    }
    if (result.status) {
      this.state = result.status.state;
      this.says = textOf(result.status.message?.parts ?? []);
    }
  }

  texts(artifact) {
    return this.artifacts[artifact].map((p) => p.text);
  }
}

/** The outcome of a stream, of which only the last event is final. */
function follow(events, first) {
  if (events[0].kind === 'message') {
    equal(events.length, 1, 'frames of a stream that begins with a Message');
    return Outcome.of(events[0]);
  }
  const kinds = events.map((e) => e.kind);
  if (first) equal(kinds[0], first, 'the first frame');
  check(!kinds.slice(1).includes('task'), `a second Task frame: ${kinds}`);
  const finals = events.flatMap((e, i) => (e.kind === 'status-update' && e.final ? [i] : []));
  equal(finals, [events.length - 1], 'the final events of the stream');
  return Outcome.of(...events);
}

/** The demo agent as the SDK's client of one binding sees it. */
class Agent {
  constructor(client, card, binding) {
    Object.assign(this, { client, card, binding });
  }

  static async connect(url, binding) {
    const transport = {
      'JSONRPC': new sdk.JsonRpcTransportFactory(), 'HTTP+JSON': new sdk.RestTransportFactory(), 'GRPC': new GrpcTransportFactory(),
    }[binding];
    const client = await new sdk.ClientFactory({ transports: [transport] }).createFromUrl(url);
    return new Agent(client, await client.getAgentCard(), binding);
  }

  request(text, { immediately = false, ...ids } = {}) {
    const message = { kind: 'message', messageId: randomUUID(), role: 'user', parts: [{ kind: 'text', text }], ...ids };
    return { message, configuration: { blocking: !immediately } };
  }

  /** Sends over a stream, and holds the stream to the rules of streams. */
  async stream(text, ids = {}) {
    const outcome = follow(await drain(this.client.sendMessageStream(this.request(text, ids))), ids.taskId ? undefined : 'task');
    if (outcome.message) return outcome;
    const stored = await this.get(outcome.taskId);
    equal(outcome.state, stored.state, 'the state that the stream told and tasks/get');
    if (!ids.taskId) equal(outcome.artifacts, stored.artifacts, 'the artifacts that the stream told and tasks/get');
    return outcome;
  }

  async block(text, ids = {}) {
    return Outcome.of(await this.client.sendMessage(this.request(text, ids)));
  }

  async get(id) {
    return Outcome.of(await this.client.getTask({ id }));
  }

  async cancel(id) {
    return Outcome.of(await this.client.cancelTask({ id }));
  }

  subscribe(id) {
    return this.client.resubscribeTask({ id });
  }
}

one('card', async (agent) => {
  const named = [agent.card.preferredTransport, ...(agent.card.additionalInterfaces ?? []).map((i) => i.transport)];
  check(named.includes(agent.binding), `the card names ${named}`);
  check(agent.card.protocolVersion.startsWith('0.3'), `the card says version ${agent.card.protocolVersion}`);
  check(agent.card.capabilities.streaming, 'the card does not announce streaming');
});

behaviour('count', async (agent, send) => {
  const got = await send('count to 20');
  equal([got.state, got.texts('count')], ['completed', numbers(20)], 'state and numbers');
});

behaviour('sleep', async (agent, send) => {
  equal((await send('sleep 100ms')).state, 'completed', 'state');
});

behaviour('ask', async (agent, send) => {
  const asked = await send('ask What is your name?');
  equal([asked.state, asked.says], ['input-required', 'What is your name?'], 'the question');
  const got = await send('Ada', { taskId: asked.taskId, contextId: asked.contextId });
  equal([got.taskId, got.contextId], [asked.taskId, asked.contextId], 'task and context of the follow-up');
  equal([got.state, got.texts('echo')], ['completed', ['Ada']], 'what was echoed');
});

behaviour('auth', async (agent, send) => {
  const asked = await send('auth');
  equal(asked.state, 'auth-required', 'state');
  equal((await send('go on', { taskId: asked.taskId })).state, 'completed', 'state after the follow-up');
});

behaviour('fail', async (agent, send) => {
  const got = await send('fail out of paper');
  equal([got.state, got.says], ['failed', 'out of paper'], 'the verdict');
});

behaviour('reject', async (agent, send) => {
  const got = await send('reject not my job');
  equal([got.state, got.says], ['rejected', 'not my job'], 'the verdict');
});

behaviour('flaky', async (agent, send) => {
  const got = await send('flaky 1');
  equal(got.state, 'completed', 'state');
  check(textOf(got.artifacts.flaky).includes('2'), 'the artifact does not tell the second attempt');
});

behaviour('crash', async (agent, send) => {
  const got = await send('crash');
  equal(got.state, 'failed', 'state');
  check(got.says.includes('attempt 2'), `the status says ${got.says}`);
  check(!/panic|goroutine/.test(got.says), `internal text: ${got.says}`);
});

behaviour('message', async (agent, send) => {
  const got = await send('message hello');
  check(got.message, `no Message but a task in state ${got.state}`);
  equal([textOf(got.message.parts), got.message.role], ['hello', 'agent'], 'text and role');
});

behaviour('file', async (agent, send) => {
  const [part] = (await send('file')).artifacts.file;
  equal(part.kind, 'file', 'the kind of the part');
  const content = contentOf(part.file, agent.binding);
  check(content.startsWith('A file'), `the content is ${content}`);
  equal(part.file.mimeType, 'text/plain', 'the type');
});

behaviour('data', async (agent, send) => {
  const [part] = (await send('data')).artifacts.data;
  equal(part.kind, 'data', 'the kind of the part');
  equal(part.data.numbers, [1, 2, 3], 'the numbers');
});

behaviour('echo', async (agent, send) => {
  const got = await send('echo Grüße, 世界 🌍');
  equal([got.state, got.texts('echo')], ['completed', ['Grüße, 世界 🌍']], 'what was echoed');
});

one('cancel/stream', async (agent) => {
  const outcome = new Outcome();
  let canceled = false;
  for await (const event of agent.client.sendMessageStream(agent.request('hang'))) {
    outcome.event(event);
    if (outcome.state === 'working' && !canceled) {
      canceled = true;
      equal((await agent.cancel(outcome.taskId)).state, 'canceled', 'the answer to the cancellation');
    }
  }
  equal(outcome.state, 'canceled', 'the last state of the stream');
});

one('cancel/blocking', async (agent) => {
  const sent = await agent.block('hang', { immediately: true });
  check(['submitted', 'working'].includes(sent.state), `returned in state ${sent.state}`);
  equal((await agent.cancel(sent.taskId)).state, 'canceled', 'the answer to the cancellation');
  equal((await agent.get(sent.taskId)).state, 'canceled', 'what tasks/get says');
});

one('get', async (agent) => {
  const { taskId } = await agent.block('ask your name');
  await agent.block('Ada', { taskId });
  const task = await agent.client.getTask({ id: taskId });
  equal(task.history.map((m) => textOf(m.parts)), ['ask your name', 'your name', 'Ada'], 'history');
  const last = await agent.client.getTask({ id: taskId, historyLength: 1 });
  equal(last.history.map((m) => textOf(m.parts)), ['Ada'], 'history of length 1');
});

one('subscribe', async (agent) => {
  const sent = await agent.block('count to 20 every 20ms', { immediately: true });
  const got = follow(await drain(agent.subscribe(sent.taskId)), 'task');
  equal([got.state, got.texts('count')], ['completed', numbers(20)], 'state and numbers');
});

// The SDK has a class for each error, and hides those of JSON-RPC streams as
// the cause of a plain Error.
const is = (kind) => (e) => e instanceof kind || e.cause instanceof kind;
const notFound = [is(sdk.TaskNotFoundError), 'TaskNotFoundError'];
const notCancelable = [is(sdk.TaskNotCancelableError), 'TaskNotCancelableError'];

one('unknown task', async (agent) => {
  for (const call of [
    () => agent.get('no-such-task'),
    () => agent.cancel('no-such-task'),
    () => drain(agent.subscribe('no-such-task')),
    () => agent.block('echo', { taskId: 'no-such-task' }),
    () => agent.stream('echo', { taskId: 'no-such-task' }),
  ]) {
    await fails(call, ...notFound);
  }
});

one('ended task', async (agent) => {
  const { taskId } = await agent.block('echo');
  await fails(() => agent.cancel(taskId), ...notCancelable);
  // Over gRPC the SDK knows this error for subscriptions alone, and shows
  // that of a send as it came.
  const unsupported = is(sdk.UnsupportedOperationError);
  const asItCame = (e) => unsupported(e) || (agent.binding === 'GRPC' && e.message.startsWith('GRPC error for sendMessage!'));
  await fails(() => drain(agent.subscribe(taskId)), unsupported, 'UnsupportedOperationError');
  await fails(() => agent.block('again', { taskId }), asItCame, 'UnsupportedOperationError');
});

one('push', async (agent) => {
  const { taskId } = await agent.block('echo');
  const config = { taskId, pushNotificationConfig: { id: 'one', url: 'https://example.com/hook' } };
  // The transport, because the client itself refuses what the card does not announce.
  const set = () => agent.client.transport.setTaskPushNotificationConfig(config);
  if (agent.card.capabilities.pushNotifications) {
    equal((await set()).pushNotificationConfig.url, config.pushNotificationConfig.url, 'the address');
    return;
  }
  await fails(set, is(sdk.PushNotificationNotSupportedError), 'PushNotificationNotSupportedError');
});

reportVersions('a2a-sdk-v03', '@grpc/grpc-js', '@bufbuild/protobuf');
const [url, ...bindings] = process.argv.slice(2);
await runAll(cases, bindings, (binding) => Agent.connect(url, binding));
// A case that hung has left a stream open, which would keep the process.
process.exit(0);
