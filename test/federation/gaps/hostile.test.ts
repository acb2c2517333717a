// What a hostile server can make us do: each answer of its making is refused, what it costs is counted, and the
// room goes on.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId } from '../../../src/event/ids.js';
import type { JsonObject } from '../../../src/event/json.js';
import { signEvent } from '../../../src/event/signing.js';
import type { Pdu } from '../../../src/event/pdu.js';
import { utf8 } from '../../../src/lib/bytes.js';
import { keyOf } from '../../simulator/cast.js';
import { type Asked, BETA, GAMMA, honest, type Responder, Subject, type SubjectOptions } from '../peers.js';

const hostile = suite('hostile servers');

const BAD_SIGNATURES = { [BETA]: { 'ed25519:cast': 'A'.repeat(86) } };

interface Stage {
  readonly subject: Subject;
  /** Beta says it, and it follows what alpha does not know. */
  readonly bait: Pdu;
  readonly honestly: Responder;
  /** What alpha has beside the room's first events. */
  readonly known: () => number;
}

/** Alpha hears of an event behind a gap, and only beta answers, as it likes. */
async function stage(options: SubjectOptions = {}): Promise<Stage> {
  const subject = await Subject.open(options);
  await subject.set('m.room.topic', '', { topic: 'missed' });
  for (let i = 0; i < 5; i++) await subject.say(`${i}`);
  const bait = await subject.say('bait');
  subject.peers.responders.set(GAMMA, () => 404);
  const { engine } = subject.alpha;
  const before = engine.store.room(subject.roomId)?.events ?? 0;
  const known = (): number => (engine.store.room(subject.roomId)?.events ?? 0) - before;
  return { subject, bait, honestly: honest(subject.beta.engine), known };
}

/** Alpha is given the bait, beta answers so; afterwards the room still goes on. */
async function bite(
  stage: Stage,
  answer: (asked: Asked) => ReturnType<Responder> | undefined,
): Promise<void> {
  const { subject, bait, honestly } = stage;
  subject.peers.responders.set(BETA, (asked) => answer(asked) ?? honestly(asked));
  await subject.send([bait]);
  await subject.settle();
  const alice = subject.user('alice');
  await subject.alpha.send({ type: 'm.room.message', sender: alice, content: { body: 'still here' } });
}

/** Beta's signature under whatever is said. */
function signed({ beta }: Subject, json: JsonObject): JsonObject {
  const { signatures: _, hashes: __, unsigned: ___, ...rest } = json;
  return signEvent(rest, beta.rules, BETA, keyOf(BETA));
}

hostile('get_missing_events without end costs a few rounds', async () => {
  const at = await stage({ gaps: { missingRoundsMax: 5, retryMs: 1e9 } });
  const { subject, bait } = at;
  // An endless past, made up while it is asked for: each event follows one that is asked for next.
  const past = new Map<EventId, JsonObject>();
  let made = 0;
  const predecessor = (): EventId => {
    const event = subject.beta.build({
      type: 'm.room.message',
      sender: subject.user('bob'),
      content: { body: `made up ${made++}` },
      prevEvents: [...subject.beta.room.forwardExtremities],
    });
    past.set(event.eventId, event.json);
    return event.eventId;
  };
  const endless = (ids: readonly string[]): JsonObject[] =>
    ids.map((id) => {
      const json = past.get(id as EventId) ?? bait.json;
      return signed(subject, { ...json, prev_events: [predecessor()] });
    });
  await bite(at, ({ path, body }) => {
    if (path[0] === 'get_missing_events') return { events: endless(body['latest_events'] as string[]) };
    return 404;
  });
  assert.ok(subject.peers.asked.length <= 2 * (5 + 1), `${subject.peers.asked.length} requests`);
  assert.not.ok(subject.has(bait));
  await subject.close();
});

hostile('a true past without end is followed as far as the rounds go', async () => {
  const at = await stage({ gaps: { missingRoundsMax: 3, missingEventsMax: 1, retryMs: 1e9 } });
  await bite(at, ({ path }) => (path[0] === 'get_missing_events' ? undefined : 404));
  assert.is(at.subject.peers.count(' get_missing_events'), 3);
  assert.is(at.known(), 1, 'nothing took a place but what Alice said');
  assert.ok(at.subject.alpha.engine.verdicts().waiting <= 4);
  await at.subject.close();
});

hostile('events with wrong signatures, of another room, or other than asked for are left out', async () => {
  const at = await stage({ gaps: { retryMs: 1e9 } });
  const { subject, bait } = at;
  const [prev] = bait.prevEvents;
  const other = await Subject.open();
  const foreign = await other.say('elsewhere');
  const missed = subject.beta.known(prev as EventId).pdu;
  const wrong = [
    { ...missed.json, signatures: BAD_SIGNATURES },
    { ...missed.json, signatures: {} },
    signed(subject, { ...missed.json, room_id: foreign.roomId }),
    signed(subject, { ...missed.json, origin_server_ts: 1 }),
    foreign.json,
    { ...missed.json, prev_events: [[]] },
    {},
  ];
  await bite(at, ({ path }) => {
    if (path[0] === 'get_missing_events') return { events: wrong };
    if (path[0] === 'event') return { pdus: [wrong[3] ?? {}] };
    return path[0] === 'event_auth' ? undefined : 404;
  });
  assert.is(at.known(), 1);
  assert.not.ok(subject.alpha.engine.core.known.has(foreign.eventId));
  assert.ok(subject.peers.asked.length <= 6, subject.peers.asked.join('\n'));
  await other.close();
  await subject.close();
});

hostile('events of 65 kB and more are refused, those of just under are not', async () => {
  const at = await stage({ gaps: { retryMs: 1e9 } });
  const { subject } = at;
  const sized = (bytes: number): JsonObject =>
    signed(subject, { ...at.bait.json, content: { body: 'x'.repeat(bytes) } });
  const answer = await subject.send([sized(64_000), sized(66_000), sized(600_000)]);
  assert.is(Object.values(answer).filter((one) => JSON.stringify(one).includes('EVENT_TOO_LARGE')).length, 2);
  await bite(at, ({ path }) =>
    path[0] === 'get_missing_events' ? { events: Array(20).fill(sized(600_000)) as JsonObject[] } : undefined,
  );
  assert.ok(subject.has(at.bait), 'placed by the state before it');
  await subject.close();
});

hostile('lists of a million entries are refused unread', async () => {
  const at = await stage({ gaps: { missingRoundsMax: 1, stateEntriesMax: 10_000, retryMs: 1e9 } });
  const { subject } = at;
  const ids = `[${Array(1_000_000).fill('"$x"').join(',')}]`;
  const objects = `[${Array(1_000_000).fill('{}').join(',')}]`;
  await bite(at, ({ path }) => {
    if (path[0] === 'get_missing_events') return utf8(`{"events":${objects}}`);
    if (path[0] === 'state_ids') return utf8(`{"pdu_ids":${ids},"auth_chain_ids":${ids}}`);
    return 404;
  });
  assert.ok(subject.peers.asked.length <= 4, subject.peers.asked.join('\n'));
  assert.is(subject.peers.count(' event'), 0);
  assert.is(at.known(), 1);
  await subject.close();
});

hostile('many made-up ids in a state cost a bounded number of requests', async () => {
  const at = await stage({
    gaps: { missingRoundsMax: 0, singleEventsMax: 40, requestsMax: 60, retryMs: 1e9 },
  });
  const { subject, honestly } = at;
  const madeUp = Array.from({ length: 9 }, (_, i) => `$${`${i}`.padStart(43, 'x')}`);
  let most = 0;
  let open = 0;
  subject.peers.onAsk = async () => {
    most = Math.max(most, ++open);
    await Promise.resolve();
    open--;
  };
  await bite(at, (asked) => {
    if (asked.path[0] === 'event') return 404;
    if (asked.path[0] !== 'state_ids') return undefined;
    const claim = honestly(asked) as JsonObject;
    return { ...claim, auth_chain_ids: [...(claim['auth_chain_ids'] as string[]), ...madeUp] };
  });
  assert.ok(subject.peers.asked.length <= 60);
  assert.ok(most <= 8, '8 at a time');
  await subject.close();
});

hostile(
  'a state is not taken without its create event, with one key twice, or with what is no state',
  async () => {
    const cases: ((claim: JsonObject, at: Stage) => JsonObject)[] = [
      (claim) => ({ ...claim, pdu_ids: [] }),
      (claim, { subject }) => {
        const create = subject.alpha.room.createEventId;
        return { ...claim, pdu_ids: (claim['pdu_ids'] as string[]).filter((id) => id !== create) };
      },
      (claim, { bait }) => ({
        ...claim,
        pdu_ids: [...(claim['pdu_ids'] as string[]), bait.prevEvents[0] ?? ''],
      }),
      (claim) => ({ ...claim, pdu_ids: [...(claim['pdu_ids'] as string[]), 'no id'] }),
      (claim) => ({ ...claim, pdu_ids: { length: 3 } }),
    ];
    for (const [i, twist] of cases.entries()) {
      const at = await stage({ gaps: { missingRoundsMax: 0, retryMs: 1e9 } });
      await bite(at, (asked) =>
        asked.path[0] === 'state_ids' ? twist(at.honestly(asked) as JsonObject, at) : undefined,
      );
      assert.not.ok(at.subject.has(at.bait), `case ${i}`);
      assert.ok(at.subject.peers.asked.length <= 15);
      await at.subject.close();
    }
  },
);

hostile('a state that leaves out auth events is completed singly, or not taken', async () => {
  for (const isGiven of [true, false]) {
    const at = await stage({ gaps: { missingRoundsMax: 0, retryMs: 1e9 } });
    const { subject, bait, honestly } = at;
    const dave = subject.beta.user('dave');
    const content = { membership: 'join' };
    const join = await subject.beta.send({ type: 'm.room.member', sender: dave, stateKey: dave, content });
    const note = await subject.beta.send({ type: 'x.note', sender: dave, stateKey: '', content: {} });
    const later = await subject.say('later', false);
    const leave = (list: unknown): string[] => (list as string[]).filter((id) => id !== join.eventId);
    subject.peers.responders.set(BETA, (asked) => {
      if (asked.path[0] === 'event' && asked.path[1] === join.eventId && !isGiven) return 404;
      if (asked.path[0] !== 'state_ids') return honestly(asked);
      const claim = honestly(asked) as JsonObject;
      return { pdu_ids: leave(claim['pdu_ids']), auth_chain_ids: leave(claim['auth_chain_ids']) };
    });
    await subject.send([later]);
    await subject.settle();
    assert.is(subject.alpha.engine.core.known.has(note.eventId), isGiven);
    assert.is(subject.has(later), isGiven);
    assert.ok(subject.peers.asked.length <= 12, subject.peers.asked.join('\n'));
    assert.ok(bait);
    await subject.close();
  }
});

hostile('a forged auth chain authorises nobody', async () => {
  const at = await stage({ gaps: { missingRoundsMax: 0, retryMs: 1e9 } });
  const { subject, honestly } = at;
  // Mallory of beta gives herself all power, on events that nothing allows.
  const mallory = subject.beta.user('mallory');
  const create = subject.alpha.room.createEventId;
  const join = subject.beta.build({
    type: 'm.room.member',
    sender: mallory,
    stateKey: mallory,
    content: { membership: 'join' },
    authEvents: [create],
  });
  const power = subject.beta.build({
    type: 'm.room.power_levels',
    sender: mallory,
    stateKey: '',
    content: { users: { [mallory]: 100 } },
    authEvents: [create, join.eventId],
  });
  const forged = new Map([join, power].map((event) => [event.eventId as string, event.json]));
  await bite(at, (asked) => {
    const [what, first] = asked.path;
    if (what === 'event' && forged.has(first ?? '')) return { pdus: [forged.get(first ?? '') ?? {}] };
    if (what !== 'state_ids') return undefined;
    const claim = honestly(asked) as JsonObject;
    const levels = subject.beta.current('m.room.power_levels')?.eventId;
    const ids = (claim['pdu_ids'] as string[]).filter((id) => id !== levels);
    return { ...claim, pdu_ids: [...ids, power.eventId, join.eventId] };
  });
  const view = subject.alpha.engine.currentState(subject.roomId);
  assert.is(view.membership(mallory), undefined);
  assert.is.not(view.get('m.room.power_levels'), power.eventId);
  assert.is.not(subject.alpha.engine.core.known.get(power.eventId)?.verdict, 'accepted');
  await subject.close();
});

hostile('answers that are none cost one request each', async () => {
  const garbage = [
    '',
    '[]',
    '{}',
    '{"events":{}}',
    '\u0000',
    '{"events":[7,null,"x",[]]}',
    '['.repeat(100_000),
  ];
  for (const text of garbage) {
    const at = await stage({ gaps: { retryMs: 1e9 } });
    await bite(at, () => utf8(text));
    assert.ok(at.subject.peers.asked.length <= 6, `${text.slice(0, 20)}: ${at.subject.peers.asked.length}`);
    assert.not.ok(at.subject.has(at.bait));
    await at.subject.close();
  }
});

hostile('a room in which too much waits takes no more of it, and others go on', async () => {
  const subject = await Subject.open({
    horizon: { eventsMax: 1_000, bytesMax: 1e9, eventsOfRoomMax: 3 },
    gaps: { retryMs: 1e9 },
  });
  for (const server of [BETA, GAMMA]) subject.peers.responders.set(server, () => 404);
  const [good] = [await subject.say('good')];
  const stray = (i: number): Pdu =>
    subject.beta.build({
      type: 'm.room.message',
      sender: subject.user('bob'),
      content: { body: `${i}` },
      prevEvents: [good.eventId],
    });
  const baits = Array.from({ length: 6 }, (_, i) =>
    signed(subject, { ...stray(i).json, prev_events: [`$${`${i}`.padStart(43, 'x')}`] }),
  );
  for (const bait of baits) {
    await subject.send([bait]);
    await subject.input.idle();
  }
  assert.is(subject.alpha.engine.verdicts().waiting, 3);
  await subject.send([good]);
  await subject.settle();
  assert.ok(subject.has(good));
  await subject.close();
});

hostile.run();
