import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { JsonObject } from '../../../src/event/json.js';
import type { RoomId } from '../../../src/event/ids.js';
import type { Pdu } from '../../../src/event/pdu.js';
import { FederationError } from '../../../src/federation/errors.js';
import type { InputFailure } from '../../../src/federation/inbound/failures.js';
import { castKeys } from '../../simulator/cast.js';
import { BETA, DELTA, GAMMA, Subject } from '../peers.js';

const transactions = suite('transactions');

async function failuresOf({ input }: Subject): Promise<InputFailure[]> {
  const failures: InputFailure[] = [];
  for await (const failure of input.failures()) failures.push(failure);
  return failures;
}

async function refusal(work: () => Promise<unknown>): Promise<FederationError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof FederationError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

/** How often listeners were given an event. */
async function released({ alpha: { engine } }: Subject, { eventId }: Pdu): Promise<number> {
  let count = 0;
  const { watermark } = engine.core.release;
  for await (const { seqLast, events } of engine.released()) {
    for (const { row } of events) if (row.eventId === eventId) count++;
    if (seqLast >= watermark) break;
  }
  return count;
}

transactions('the events of a transaction are answered by id and land in order', async () => {
  const subject = await Subject.open();
  const events: Pdu[] = [];
  for (let i = 0; i < 50; i++) events.push(await subject.say(`${i}`));
  const answer = await subject.send(events);
  assert.equal(answer, Object.fromEntries(events.map(({ eventId }) => [eventId, {}])));
  await subject.settle();
  const seqs = events.map(({ eventId }) => subject.alpha.engine.store.seqOf(eventId) ?? 0);
  assert.ok(events.every((event) => subject.has(event)));
  assert.equal(
    [...seqs].sort((a, b) => a - b),
    seqs,
  );
  assert.ok(subject.agrees);
  assert.is(subject.peers.asked.length, 0);
  assert.equal(subject.input.depths, { events: 0, bytes: 0, rooms: 0, parked: 0 });
  await subject.close();
});

transactions('what was answered and not worked off is taken up after a restart, once', async () => {
  const subject = await Subject.open();
  const event = await subject.say('before the restart');
  let settle = (): void => undefined;
  subject.joining.set(subject.roomId, new Promise((resolve) => (settle = resolve)));
  await subject.send([event]);
  assert.is(subject.input.depths.events, 1);
  // The old input is left as a crash would leave it; its lane goes on too, and the event is still taken once.
  const old = subject.input;
  await subject.start();
  assert.is(subject.input.depths.events, 1);
  settle();
  await Promise.all([old.idle(), subject.input.idle()]);
  await subject.settle();
  assert.ok(subject.has(event));
  assert.is(await released(subject, event), 1);
  assert.is(subject.input.depths.events, 0);
  await subject.close();
});

transactions('an event that comes in many transactions reaches listeners once', async () => {
  const subject = await Subject.open();
  const event = await subject.say('again and again');
  await Promise.all([
    subject.send([event, event]),
    subject.send([event]),
    subject.send([event], [], { origin: GAMMA }),
  ]);
  await subject.settle();
  await subject.send([event]);
  await subject.settle();
  assert.is(await released(subject, event), 1);
  await subject.close();
});

transactions('a transaction that comes again gets its first answer, also after a restart', async () => {
  const subject = await Subject.open();
  const event = await subject.say('once');
  const foreign = { ...event.json, room_id: '!elsewhere:beta.test' };
  const [first, twin] = await Promise.all([
    subject.send([event, foreign], [], { txnId: 'same' }),
    subject.send([event, foreign], [], { txnId: 'same' }),
  ]);
  assert.equal(twin, first);
  await subject.settle();
  await subject.stop();
  await subject.start();
  // The id alone counts: another content under it is not looked at.
  assert.equal(await subject.send([], [], { txnId: 'same' }), first);
  assert.equal(await subject.send([], [], { txnId: 'same', origin: GAMMA }), {}, 'ids are of each server');
  await subject.close();
});

transactions('answers are remembered for so many transactions of a server and no more', async () => {
  const subject = await Subject.open({ input: { answersOfServerMax: 2 } });
  const event = await subject.say('first');
  const first = await subject.send([event], [], { txnId: '1' });
  for (const txnId of ['2', '3']) await subject.send([], [], { txnId });
  assert.equal(await subject.send([], [], { txnId: '1' }), {}, 'forgotten');
  assert.not.equal(first, {});
  let rows = 0;
  for await (const _ of subject.alpha.engine.queue('federation_answers').entries()) rows++;
  assert.is(rows, 2);
  await subject.close();
});

transactions('a transaction that is none is refused whole', async () => {
  const subject = await Subject.open();
  const many = (length: number): JsonObject[] => Array.from({ length }, () => ({}));
  for (const body of [{ pdus: many(51) }, { pdus: {} }, { edus: 'x' }, { edus: many(101) }]) {
    const error = await refusal(async () =>
      subject.input.receive(BETA, `bad${JSON.stringify(body).length}`, body),
    );
    assert.is(error.status, 400);
  }
  const error = await refusal(async () => subject.input.receive(BETA, 'x'.repeat(256), {}));
  assert.is(error.status, 400);
  await subject.close();
});

transactions('events that may not come in are answered with an error, each for itself', async () => {
  const subject = await Subject.open();
  const good = await subject.say('good');
  const answer = await subject.send([
    { ...good.json, room_id: '!elsewhere:beta.test' },
    { ...good.json, room_id: '!users' },
    { ...good.json, depth: 'deep' },
    { ...good.json, content: { body: 'x'.repeat(70_000) } },
    { room_id: subject.roomId },
    { room_id: 7 },
    good,
  ]);
  assert.equal(answer[good.eventId], {});
  const errors = Object.values(answer).filter((one) => 'error' in (one as object));
  assert.is(errors.length, 2, 'those with an id of their own that can be told');
  await subject.settle();
  assert.ok(subject.has(good));
  await subject.close();
});

transactions('a server that the access list denies gets nothing in', async () => {
  const subject = await Subject.open();
  await subject.everywhere(await subject.set('m.room.server_acl', '', { allow: ['*'], deny: [BETA] }));
  const event = await subject.say('denied');
  const answer = await subject.send([event]);
  assert.match(JSON.stringify(answer[event.eventId]), /denied/);
  assert.is(subject.input.depths.events, 0);
  await subject.send([event], [], { origin: GAMMA });
  await subject.settle();
  assert.ok(subject.has(event), 'whom the list allows may pass it on');
  await subject.close();
});

transactions('a room that nobody here is in takes only what ends an invitation', async () => {
  const subject = await Subject.open();
  const { alpha } = subject;
  const [alice, bob] = [subject.user('alice'), subject.user('bob')];
  await subject.everywhere(
    await alpha.send({
      type: 'm.room.member',
      sender: alice,
      stateKey: alice,
      content: { membership: 'leave' },
    }),
  );
  const message = await subject.say('to nobody');
  const kick = await subject.set('m.room.member', alpha.user('zoe'), { membership: 'ban' });
  const answer = await subject.send([message, kick]);
  assert.match(JSON.stringify(answer[message.eventId]), /not in the room/);
  assert.equal(answer[kick.eventId], {});
  await subject.settle();
  assert.equal(
    subject.withdrawn.map(({ eventId }) => eventId),
    [kick.eventId],
  );
  const forged = { ...kick.json, signatures: { [BETA]: { 'ed25519:cast': 'A'.repeat(86) } } };
  await subject.send([forged]);
  await subject.settle();
  assert.is(subject.withdrawn.length, 1, 'a forged one is told to nobody');
  assert.ok(bob);
  await subject.close();
});

transactions('a poison event is acknowledged, recorded with its failure and gone', async () => {
  const subject = await Subject.open();
  const good = await subject.say('good');
  const poison = { ...good.json, signatures: { [BETA]: { 'ed25519:cast': 'A'.repeat(86) } } };
  await subject.send([poison]);
  await subject.settle();
  const failures = await failuresOf(subject);
  assert.equal(
    failures.map(({ eventId, code, origin }) => [eventId, code, origin]),
    [[good.eventId, 'SIGNATURE_INVALID', BETA]],
  );
  assert.is(subject.input.depths.events, 0);
  await subject.send([good]);
  await subject.settle();
  assert.ok(subject.has(good), 'the true one is taken all the same');
  await subject.close();
});

transactions('a forged copy that comes first does not keep the true event out', async () => {
  const subject = await Subject.open();
  const good = await subject.say('true');
  const forged = { ...good.json, signatures: { [BETA]: { 'ed25519:cast': 'A'.repeat(86) } } };
  let settle = (): void => undefined;
  subject.joining.set(subject.roomId, new Promise((resolve) => (settle = resolve)));
  await subject.send([forged], [], { origin: GAMMA });
  await subject.send([forged, good]);
  settle();
  await subject.settle();
  assert.ok(subject.has(good));
  await subject.close();
});

transactions('failures are remembered up to their number', async () => {
  const subject = await Subject.open({ input: { failuresMax: 3 } });
  const signatures = { [BETA]: { 'ed25519:cast': 'A'.repeat(86) } };
  for (let i = 0; i < 5; i++) {
    const { json } = await subject.say(`${i}`);
    await subject.send([{ ...json, signatures }]);
    await subject.input.idle();
  }
  assert.is((await failuresOf(subject)).length, 3);
  await subject.close();
});

transactions('an event whose keys cannot be had is tried again, and taken when they can', async () => {
  let areKeysThere = false;
  const subject = await Subject.open({
    keys: (server, keyId) => (server === BETA && !areKeysThere ? undefined : castKeys(server, keyId)),
    input: { parkedRetryMs: 60_000 },
  }).catch(() => undefined);
  assert.is(subject, undefined, 'the room itself needs those keys');
  areKeysThere = true;
  const open = await Subject.open({
    keys: (server, keyId) => (server === BETA && !areKeysThere ? undefined : castKeys(server, keyId)),
    input: { parkedRetryMs: 60_000, parkedTriesMax: 2 },
  });
  areKeysThere = false;
  const event = await open.say('keys to come');
  await open.send([event]);
  await open.settle();
  assert.is(open.input.depths.parked, 1);
  assert.is(open.input.depths.events, 1, 'it stays in the durable queue');
  areKeysThere = true;
  open.timers.pass(60_000);
  await open.settle();
  assert.ok(open.has(event));
  assert.is(open.input.depths.events, 0);

  areKeysThere = false;
  const lost = await open.say('keys never to come');
  await open.send([lost]);
  await open.input.idle();
  for (let i = 0; i < 3; i++) {
    open.timers.pass(60_000);
    await open.input.idle();
  }
  assert.is(open.input.depths.events, 0, 'not for ever');
  assert.is((await failuresOf(open)).at(-1)?.code, 'SIGNATURE_INVALID');
  await open.close();
});

transactions('when too much waits, servers are told to come back', async () => {
  const subject = await Subject.open({ input: { queuedEventsMax: 100, queuedShareMax: 0.5 } });
  let settle = (): void => undefined;
  subject.joining.set(subject.roomId, new Promise((resolve) => (settle = resolve)));
  const events: Pdu[] = [];
  for (let i = 0; i < 60; i++) events.push(await subject.say(`${i}`));
  await subject.send(events.slice(0, 50));
  const error = await refusal(() => subject.send(events.slice(50, 55), [], { txnId: 'later' }));
  assert.is(error.status, 429);
  assert.is(error.body['retry_after_ms'], 5_000);
  await subject.send(events.slice(50, 55), [], { origin: GAMMA });
  assert.equal(await subject.send([], [], { txnId: 'empty' }), {}, 'messages still come through');
  settle();
  await subject.input.idle();
  await subject.send(events.slice(55), [], { txnId: 'later' });
  await subject.settle();
  assert.ok(events.every((event) => subject.has(event)));
  await subject.close();
});

transactions(
  'an event that ends the server whenever it is begun with is given up, and no other',
  async () => {
    const subject = await Subject.open();
    const { engine } = subject.alpha;
    const events: Pdu[] = [];
    for (let i = 0; i < 5; i++) events.push(await subject.say(`${i}`));
    const [, , bad] = events;
    assert.ok(bad);
    const receive = engine.receive.bind(engine);
    let begun: string[] = [];
    const server = { isOver: false };
    engine.receive = async (pdu, options) => {
      const text = Buffer.from(pdu as Uint8Array).toString();
      const { body } = (JSON.parse(text) as { content: { body: string } }).content;
      if (!server.isOver) begun.push(body);
      // Nothing is heard again of whoever is in the server's hands when it ends.
      server.isOver ||= body === '2';
      return server.isOver ? new Promise(() => undefined) : receive(pdu, options);
    };
    const untilItEnds = async (): Promise<string[]> => {
      for (let turn = 0; turn < 10_000 && !server.isOver && subject.input.depths.events > 0; turn++)
        await new Promise((resolve) => setImmediate(resolve));
      const done = begun;
      begun = [];
      return done;
    };
    await subject.send(events);
    assert.equal(await untilItEnds(), ['0', '1', '2']);
    const starts: string[][] = [];
    while (server.isOver && starts.length < 10) {
      server.isOver = false;
      await subject.start();
      starts.push(await untilItEnds());
    }
    assert.equal(starts, [['1', '2'], ['2'], ['2'], ['3', '4']]);
    assert.equal(
      (await failuresOf(subject)).map(({ eventId, code }) => [eventId, code]),
      [[bad.eventId, 'FEDERATION_INPUT_FATAL']],
    );
    // Others follow on it: it is not taken in when it comes as one that is missing, either.
    await subject.settle();
    assert.not(server.isOver);
    assert.equal(
      events.map((event) => subject.has(event)),
      [true, true, false, true, true],
    );
    assert.is(subject.input.depths.events, 0);
    await subject.close();
  },
);

transactions('rooms do not wait for each other', async () => {
  const subject = await Subject.open();
  const event = await subject.say('here');
  subject.joining.set('!busy:beta.test' as RoomId, new Promise(() => undefined));
  await subject.send([{ ...event.json, room_id: '!busy:beta.test' }, event]);
  for (let i = 0; i < 1_000 && subject.input.depths.events > 1; i++)
    await new Promise((resolve) => setImmediate(resolve));
  assert.ok(subject.has(event));
  assert.is(subject.input.depths.events, 1, 'the other waits for its join');
  await subject.gaps.close();
  await subject.accounts.close();
});

transactions('a server that is not known at all is answered like any other', async () => {
  const subject = await Subject.open();
  const event = await subject.say('passed on');
  assert.equal(await subject.send([event], [], { origin: DELTA }), { [event.eventId]: {} });
  await subject.settle();
  assert.ok(subject.has(event), 'its sender signed it');
  await subject.close();
});

transactions.run();
