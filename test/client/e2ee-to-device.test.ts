import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ask, refused, sync, type Who } from './e2ee-support.js';
import { Harness, itemsOf, type Json, type TestUser, textOf } from './harness.js';

const test = suite<{ server: Harness; alice: TestUser; bob: TestUser }>('messages to devices');

test.before.each(async (context) => {
  context.server = await Harness.open();
  context.alice = await context.server.user('alice');
  context.bob = await context.server.user('bob');
});
test.after.each(async ({ server }) => server.close());

const send = async (server: Harness, who: Who, txnId: string, messages: unknown, type = 'm.test') =>
  ask(server, who, 'PUT', `/v3/sendToDevice/${type}/${txnId}`, { messages });
const numbersOf = (answer: Json): unknown =>
  itemsOf(answer['to_device']?.['events']).map((e) => e['content']?.['n']);
const nextOf = (answer: Json): string => textOf(answer['next_batch']);

test('a message reaches the devices that it is sent to, and nobody else', async (context) => {
  const { server, alice, bob } = context;
  const [phone, tablet] = [
    await server.device(bob.userId, 'PHONE'),
    await server.device(bob.userId, 'TABLET'),
  ];
  const answer = await send(server, alice, '1', {
    [bob.userId]: { PHONE: { n: 1 }, TABLET: { n: 2 }, NOWHERE: { n: 3 } },
    '@nobody:example.org': { '*': { n: 4 } },
    '@carol:remote.example': { A: { n: 5 } },
  });
  assert.equal(answer, {});
  assert.equal((await sync(server, phone))['to_device'], {
    events: [{ sender: alice.userId, type: 'm.test', content: { n: 1 } }],
  });
  assert.equal(numbersOf(await sync(server, tablet)), [2]);
  assert.equal(numbersOf(await sync(server, bob)), []);
  assert.equal(numbersOf(await sync(server, alice)), []);
});

test('* means all devices of a user; what one of them is sent by name goes before', async ({
  server,
  alice,
  bob,
}) => {
  const phone = await server.device(bob.userId, 'PHONE');
  await send(server, alice, '1', { [bob.userId]: { '*': { n: 1 }, PHONE: { n: 2 } } });
  assert.equal(numbersOf(await sync(server, bob)), [1]);
  assert.equal(numbersOf(await sync(server, phone)), [2]);
});

test('a transaction is done once, however often it is sent', async ({ server, alice, bob }) => {
  const phone = await server.device(alice.userId, 'PHONE');
  const messages = { [bob.userId]: { '*': { n: 1 } } };
  await Promise.all([1, 2, 3].map(() => send(server, alice, 'same', messages)));
  await send(server, alice, 'same', { [bob.userId]: { '*': { n: 2 } } });
  await send(server, phone, 'same', { [bob.userId]: { '*': { n: 3 } } });
  await send(server, alice, 'same', { [bob.userId]: { '*': { n: 4 } } }, 'm.other');
  assert.equal(numbersOf(await sync(server, bob)), [1, 3, 4]);
});

test('messages come in order, 100 at a time, and go when the next token says so', async (context) => {
  const { server, alice, bob } = context;
  const all = Array.from({ length: 230 }, (_, n) => n);
  for (const n of all) await send(server, alice, `t${n}`, { [bob.userId]: { '*': { n } } });
  const waiting = (): number =>
    server.home.accounts.toDevice.after(bob.userId, bob.deviceId, 0, 1_000).length;
  const first = await sync(server, bob);
  assert.equal(numbersOf(first), all.slice(0, 100));
  assert.equal(numbersOf(await sync(server, bob)), all.slice(0, 100), 'an answer that got lost is repeated');
  assert.is(waiting(), 230);
  const second = await sync(server, bob, nextOf(first));
  assert.equal(numbersOf(second), all.slice(100, 200));
  assert.is(waiting(), 130);
  const third = await sync(server, bob, nextOf(second));
  assert.equal(numbersOf(third), all.slice(200));
  await sync(server, bob, nextOf(third));
  assert.is(waiting(), 0);
});

test('a message wakes a device that waits', async ({ server, alice, bob }) => {
  const since = nextOf(await sync(server, bob));
  const waiting = server.call(bob, 'GET', `/v3/sync?timeout=30000&since=${encodeURIComponent(since)}`);
  await send(server, alice, '1', { [bob.userId]: { '*': { n: 1 } } });
  assert.equal(numbersOf((await waiting).body), [1]);
});

test('messages are bounded in size and shape', async ({ server, alice, bob }) => {
  const path = '/v3/sendToDevice/m.test/1';
  const deep = JSON.parse(`${'{"a":'.repeat(150)}1${'}'.repeat(150)}`) as unknown;
  const attempts: (readonly [readonly [number, string], unknown])[] = [
    [[400, 'M_MISSING_PARAM'], {}],
    [[400, 'M_BAD_JSON'], { messages: [] }],
    [[400, 'M_INVALID_PARAM'], { messages: { bob: {} } }],
    [[400, 'M_BAD_JSON'], { messages: { [bob.userId]: [] } }],
    [[400, 'M_BAD_JSON'], { messages: { [bob.userId]: { '*': 'hello' } } }],
    [[400, 'M_BAD_JSON'], { messages: { [bob.userId]: { '*': deep } } }],
    [[413, 'M_TOO_LARGE'], { messages: { [bob.userId]: { '*': { a: 'x'.repeat(70_000) } } } }],
  ];
  for (const [expected, body] of attempts) await refused(server, expected, alice, 'PUT', path, body);
  const long = `/v3/sendToDevice/${'x'.repeat(300)}/1`;
  await refused(server, [400, 'M_INVALID_PARAM'], alice, 'PUT', long, { messages: {} });
  assert.equal(numbersOf(await sync(server, bob)), []);
});

test.run();
