// The state before an edge as a difference of trees: it costs what changed, it is believed no further than it can
// be checked, and servers that do not speak it are asked as ever.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId } from '../../../src/event/ids.js';
import { type JsonObject, own } from '../../../src/event/json.js';
import type { Pdu } from '../../../src/event/pdu.js';
import { treeKeyOf } from '../../../src/room/state/key.js';
import { valueOfId } from '../../../src/room/state/value.js';
import { encodeStateDifference, encodeStateNodes } from '../../../src/federation/state-parts.js';
import { blake3 } from '../../../src/lib/blake3.js';
import { concatBytes, utf8 } from '../../../src/lib/bytes.js';
import { encodePatchEntry } from '../../../src/tree/patch.js';
import type { Change } from '../../../src/tree/types.js';
import {
  type Asked,
  BETA,
  GAMMA,
  honest,
  idsOf,
  type Responder,
  Subject,
  type SubjectOptions,
} from '../peers.js';

const test = suite('state by its tree');

const NOTES = 40;

/** A room with some state that all know, of which alpha then misses a part. */
async function apart(options: SubjectOptions = {}): Promise<Subject> {
  const gaps = { missingRoundsMax: 0, treeEntriesMin: 10, ...options.gaps };
  const subject = await Subject.open({ ...options, gaps });
  for (let i = 0; i < NOTES; i++) await note(subject, i, 'before', true);
  return subject;
}

async function note(subject: Subject, i: number, text: string, isShared = false): Promise<Pdu> {
  if (!isShared) return subject.set('x.note', `${i}`, { text });
  const sender = subject.user('bob');
  return subject.everywhere(
    await subject.beta.send({ type: 'x.note', sender, stateKey: `${i}`, content: { text } }),
  );
}

/** Bob goes on where alpha does not follow, then alpha hears of the newest. */
async function hear(subject: Subject): Promise<Pdu> {
  await subject.say('edge');
  const newest = await subject.say('newest');
  await subject.send([newest]);
  await subject.settle();
  return newest;
}

/** Beta answers so where this says anything, else honestly. */
function twist(
  subject: Subject,
  answer: (asked: Asked, honestly: Responder) => ReturnType<Responder> | undefined,
): void {
  const honestly = honest(subject.beta.engine);
  subject.peers.responders.set(BETA, (asked) => answer(asked, honestly) ?? honestly(asked));
}

/** The same, and beta knows no state that alpha names: its nodes are asked for. */
function twistNodes(subject: Subject, answer: Parameters<typeof twist>[1] = () => undefined): void {
  twist(subject, (asked, honestly) => {
    const own = answer(asked, honestly);
    if (own !== undefined || asked.path[0] !== 'state_difference') return own;
    return honestly({ ...asked, body: { ...asked.body, from: {} } });
  });
}

function counts({ peers }: Subject): Record<string, number> {
  const counted: Record<string, number> = {};
  for (const one of peers.asked) counted[one] = (counted[one] ?? 0) + 1;
  return counted;
}

test('what changed since a state that both know comes in one answer, and its events in another', async () => {
  const subject = await apart();
  await note(subject, 3, 'after');
  let bytes = 0;
  twist(subject, (question, honestly) => {
    if (question.path[0] !== 'state_difference') return undefined;
    const answer = honestly(question) as Uint8Array;
    bytes += answer.length;
    return answer;
  });
  assert.ok(subject.has(await hear(subject)));
  assert.ok(subject.agrees);
  assert.equal(subject.peers.asked, [`${BETA} state_difference`, `${BETA} events`]);
  assert.ok(bytes < 64 + 60, `${bytes} bytes`);
  await subject.close();
});

test('what changed costs its nodes and its events, all together, where no state is known to both', async () => {
  const subject = await apart();
  const changed = [await note(subject, 3, 'after'), await note(subject, 31, 'after')];
  let [nodes, nodeBytes] = [0, 0];
  const asked: EventId[] = [];
  twistNodes(subject, (question, honestly) => {
    const { path, body } = question;
    if (path[0] === 'events') asked.push(...(own(body, 'event_ids') as EventId[]));
    if (path[0] !== 'state_nodes') return undefined;
    const answer = honestly(question) as Uint8Array;
    nodes += (own(body, 'paths') as string[]).length;
    nodeBytes += answer.length;
    return answer;
  });
  const newest = await hear(subject);
  assert.ok(subject.has(newest));
  assert.ok(subject.agrees);
  assert.equal(asked.sort(), changed.map(({ eventId }) => eventId).sort());
  const { [`${BETA} state_nodes`]: rounds = 0, ...others } = counts(subject);
  assert.equal(others, { [`${BETA} state_difference`]: 1, [`${BETA} events`]: 1 });
  assert.ok(rounds >= 2 && rounds <= 5, `${rounds} rounds`);
  assert.ok(nodes <= 8 && nodeBytes < 4_000, `${nodes} nodes, ${nodeBytes} bytes`);
  await subject.close();
});

test('a key that is gone from one state, and one that is new in the other, are part of it', async () => {
  const subject = await apart();
  await subject.set('x.new', '', {});
  const late = subject.beta.user('late');
  await subject.beta.send({
    type: 'm.room.member',
    sender: late,
    stateKey: late,
    content: { membership: 'join' },
  });
  // Alpha has a note that beta never heard of.
  const alice = subject.user('alice');
  await subject.alpha.send({ type: 'x.note', sender: alice, stateKey: 'only here', content: {} });
  const newest = await hear(subject);
  assert.ok(subject.has(newest));
  const before = subject.alpha.engine.stateAt(newest.eventId, 'before');
  assert.equal(idsOf(before), idsOf(subject.beta.engine.stateAt(newest.eventId, 'before')));
  assert.is(before.get('x.note', 'only here'), undefined);
  await subject.close();
});

test('events that cite events that nobody has bring these along, however many generations there are', async () => {
  const subject = await apart();
  const bob = subject.user('bob');
  for (let i = 0; i < 20; i++) {
    await subject.set('m.room.member', bob, { membership: 'join', displayname: `Bob ${i}` });
  }
  const newest = await hear(subject);
  assert.ok(subject.has(newest));
  assert.ok(subject.agrees);
  assert.is(subject.peers.count(' state_ids') + subject.peers.count(' event'), 0);
  await subject.close();
});

test('where nothing of the state changed nothing is fetched but a root', async () => {
  const subject = await apart();
  await hear(subject);
  assert.ok(subject.agrees);
  assert.equal(subject.peers.asked, [`${BETA} state_difference`]);
  await subject.close();
});

test('a state of few entries is asked for by ids', async () => {
  const subject = await apart({ gaps: { treeEntriesMin: 500 } });
  await note(subject, 1, 'after');
  const newest = await hear(subject);
  assert.ok(subject.has(newest));
  assert.is(subject.peers.count(' state_difference'), 0);
  await subject.close();
});

test('a server that does not know the path is asked by ids, and not asked so again for an hour', async () => {
  const subject = await apart();
  twist(subject, ({ path }) => (path[0] === 'state_difference' ? 405 : undefined));
  await note(subject, 1, 'after');
  assert.ok(subject.has(await hear(subject)));
  assert.equal(subject.peers.asked, [`${BETA} state_difference`, `${BETA} state_ids`, `${BETA} event`]);
  await note(subject, 2, 'after');
  assert.ok(subject.has(await hear(subject)));
  assert.is(subject.peers.count(' state_difference'), 1);
  subject.timers.pass(3_600_000);
  await note(subject, 3, 'after');
  assert.ok(subject.has(await hear(subject)));
  assert.is(subject.peers.count(' state_difference'), 2);
  await subject.close();
});

test('a server that answers anything with a page is taken for one that does not know the path', async () => {
  const subject = await apart();
  twist(subject, ({ path }) =>
    path[0] === 'state_difference' ? utf8(`<html>${'welcome '.repeat(40)}</html>`) : undefined,
  );
  await note(subject, 1, 'after');
  assert.ok(subject.has(await hear(subject)));
  assert.is(subject.peers.count(' state_difference'), 1);
  assert.is(subject.peers.count(' state_ids'), 1);
  await subject.close();
});

test('a server that does not know all of the state refuses, and the next is asked', async () => {
  const subject = await apart();
  subject.peers.responders.set(BETA, ({ path }) => (path[0] === 'state_difference' ? 403 : 404));
  await note(subject, 1, 'after');
  assert.ok(subject.has(await hear(subject)));
  assert.is(counts(subject)[`${BETA} state_difference`], 1);
  assert.is(counts(subject)[`${BETA} state_ids`], undefined, 'who refuses one refuses the other');
  assert.is(counts(subject)[`${GAMMA} state_difference`], 1);
  assert.is(subject.peers.count(' state_ids'), 0);
  await subject.close();
});

test('who gave the event is asked first, although others are known to answer better', async () => {
  const subject = await apart();
  await note(subject, 1, 'after');
  await subject.say('edge');
  await subject.send([await subject.say('first')], [], { origin: GAMMA });
  await subject.settle();
  assert.is(counts(subject)[`${GAMMA} state_difference`], 1);
  twist(subject, ({ path }) => (path[0] === 'state_difference' ? 405 : undefined));
  await note(subject, 2, 'after');
  assert.ok(subject.has(await hear(subject)));
  assert.is(counts(subject)[`${GAMMA} state_difference`], 1);
  assert.is(counts(subject)[`${BETA} state_ids`], 1);
  await subject.close();
});

test('events that are not given end it: the state is asked for by ids', async () => {
  const subject = await apart();
  twist(subject, ({ path }) => (path[0] === 'events' ? { pdus: [] } : undefined));
  await note(subject, 1, 'after');
  assert.ok(subject.has(await hear(subject)));
  assert.ok(subject.agrees);
  assert.is(subject.peers.count(' state_ids'), 1);
  await subject.close();
});

test('other events than were asked for, and more than were asked for, are left out', async () => {
  const subject = await apart();
  const changed = await note(subject, 1, 'after');
  const other = await subject.say('not asked for');
  twist(subject, ({ path }) =>
    path[0] === 'events'
      ? { pdus: [changed.json, ...Array(5_000).fill(other.json)] as JsonObject[] }
      : undefined,
  );
  assert.ok(subject.has(await hear(subject)));
  assert.not.ok(subject.alpha.engine.core.known.has(other.eventId));
  assert.is(subject.peers.count(' events'), 1);
  await subject.close();
});

/** A tree that beta makes up, the state before the event but for some changes: told by a patch, or by its nodes. */
function lyingTree(subject: Subject, changes: readonly Change[], isByPatch: boolean): Responder {
  const { tree } = subject.beta.engine.reader;
  return ({ path, body }) => {
    const view = subject.beta.engine.stateAt(own(body, 'event_id') as string, 'before');
    let record = 2 ** 43;
    const draft = tree.update(view.rootRef, changes, () => ++record);
    try {
      const root = draft.root.hash;
      if (path[0] === 'state_nodes') {
        const nodes = (own(body, 'paths') as string[]).map((one) => tree.nodeAt(draft.root, one)?.slice());
        return encodeStateNodes({ root, nodes });
      }
      const [id = ''] = Object.keys(own(body, 'from') as JsonObject);
      const from = subject.beta.engine.stateAt(id).rootRef;
      const patch = concatBytes(...Array.from(tree.diff(from, draft.root), encodePatchEntry));
      return encodeStateDifference(
        isByPatch ? { root, from: from.hash, patch } : { root, from: undefined, patch: NONE },
      );
    } finally {
      draft.discard();
    }
  };
}

const NONE = new Uint8Array();

for (const isByPatch of [true, false]) {
  test(`a tree that says of events what they are not is not believed, told by ${isByPatch ? 'a patch' : 'nodes'}`, async () => {
    const subject = await apart();
    const [topic, name] = [
      await subject.set('m.room.topic', '', { topic: 'x' }),
      await subject.set('m.room.name', '', { name: 'x' }),
    ];
    const { rules } = subject;
    const value = (id: string): Uint8Array => valueOfId(id as EventId, rules);
    const bob = treeKeyOf('m.room.member', subject.user('bob'));
    const bobsJoin =
      subject.beta.engine.currentState(subject.roomId).get('m.room.member', subject.user('bob')) ?? '';
    const key = treeKeyOf('x.a', '');
    const lies: Record<string, Change> = {
      'another key': { key: treeKeyOf('m.room.avatar', ''), tag: 0, value: value(topic.eventId) },
      'two keys': { key: treeKeyOf('m.room.name', ''), tag: 0, value: value(topic.eventId) },
      'another membership': { key: bob, tag: 4, value: value(bobsJoin) },
      'an id that is none': { key, tag: 0, value: utf8('no id') },
      'bytes that are no text': { key, tag: 0, value: Uint8Array.of(255, 254) },
      'an event that is not there': { key, tag: 0, value: value(`$${'x'.repeat(43)}`) },
      'no create event': { key: treeKeyOf('m.room.create', ''), tag: 0, value: undefined },
      'a key that is none': { key: { ...key, bytes: Uint8Array.of(7) }, tag: 0, value: value(name.eventId) },
    };
    for (const [lie, change] of Object.entries(lies)) {
      subject.peers.asked.length = 0;
      const tree = lyingTree(subject, [change], isByPatch);
      twist(subject, (asked) =>
        asked.path[0]?.startsWith('state_') && asked.path[0] !== 'state_ids' ? tree(asked) : undefined,
      );
      await subject.set('x.lie', '', { lie });
      const newest = await hear(subject);
      assert.ok(subject.has(newest), lie);
      assert.ok(subject.agrees, lie);
      assert.is(subject.peers.count(' state_nodes') > 0, !isByPatch, lie);
      assert.is(subject.peers.count(' state_ids'), 1, lie);
      subject.timers.pass(3_600_000);
    }
    await subject.close();
  });
}

test('a patch that is none, leads elsewhere, or to a state that nobody named is found out', async () => {
  const subject = await apart();
  const entry = (type: string): Uint8Array => {
    const { bytes: key, position } = treeKeyOf(type, '');
    return encodePatchEntry({
      key,
      position,
      before: undefined,
      after: { key, position, tag: 0, value: key },
    });
  };
  const lies: Record<string, (answer: Uint8Array) => Uint8Array> = {
    'cut off': (answer) => answer.subarray(0, answer.length - 1),
    'with more behind it': (answer) => concatBytes(answer, NONE, Uint8Array.of(5)),
    'out of order': (answer) => concatBytes(answer, answer.subarray(64)),
    'to another root': (answer) => answer.with(0, (answer[0] ?? 0) ^ 1),
    'from another root': (answer) => answer.with(40, (answer[40] ?? 0) ^ 1),
    'of one key more': (answer) => concatBytes(answer.subarray(0, 64), entry('x.more')),
    'too large': (answer) => concatBytes(answer, new Uint8Array(1024 * 1024)),
    'a page': () => utf8(`<html>${'welcome '.repeat(40)}</html>`),
  };
  for (const [lie, lying] of Object.entries(lies)) {
    subject.peers.asked.length = 0;
    twist(subject, (asked, honestly) =>
      asked.path[0] === 'state_difference' ? lying(honestly(asked) as Uint8Array) : undefined,
    );
    await subject.set('x.lie', '', { lie });
    const newest = await hear(subject);
    assert.ok(subject.has(newest), lie);
    assert.ok(subject.agrees, lie);
    assert.is(subject.peers.count(' state_nodes'), 0, lie);
    assert.is(subject.peers.count(' state_ids'), 1, lie);
    subject.timers.pass(3_600_000);
  }
  await subject.close();
});

test('nodes that are altered, left out, swapped, or of a root that changes are found out', async () => {
  const subject = await apart();
  const lies: Record<string, (answer: Uint8Array, round: number) => Uint8Array> = {
    altered: (answer, round) => (round > 0 ? answer.with(answer.length - 1, 9) : answer),
    'cut off': (answer, round) => (round > 0 ? answer.subarray(0, answer.length - 1) : answer),
    'none at all': (answer) => answer.subarray(0, 32),
    'no such node': (answer, round) => (round > 0 ? Uint8Array.of(...answer.subarray(0, 32), 0) : answer),
    'another root': (answer, round) => (round > 0 ? answer.with(0, (answer[0] ?? 0) ^ 1) : answer),
    'a node of 10 MB': (answer) => Uint8Array.of(...answer.subarray(0, 32), 0x80, 0x80, 0x80, 0x05),
  };
  for (const [lie, lying] of Object.entries(lies)) {
    subject.peers.asked.length = 0;
    let round = 0;
    twistNodes(subject, (asked, honestly) =>
      asked.path[0] === 'state_nodes' ? lying(honestly(asked) as Uint8Array, ++round) : undefined,
    );
    await subject.set('x.lie', '', { lie });
    const newest = await hear(subject);
    assert.ok(subject.has(newest), lie);
    assert.ok(subject.agrees, lie);
    assert.ok(subject.peers.count(' state_nodes') <= 2, lie);
    assert.is(subject.peers.count(' state_ids'), 1, lie);
    subject.timers.pass(3_600_000);
  }
  await subject.close();
});

test('a tree that differs by more than a list of all ids would cost is given up for that list', async () => {
  const subject = await apart();
  const changes = Array.from({ length: 20_000 }, (_, i): Change => {
    const key = treeKeyOf('x.made.up', `${i}`);
    return { key, tag: 0, value: blake3(key.bytes) };
  });
  const tree = lyingTree(subject, changes, false);
  let bytes = 0;
  twist(subject, (asked) => {
    if (asked.path[0] !== 'state_difference' && asked.path[0] !== 'state_nodes') return undefined;
    const answer = tree(asked) as Uint8Array;
    bytes += answer.length;
    return answer;
  });
  await note(subject, 1, 'after');
  assert.ok(subject.has(await hear(subject)));
  assert.ok(subject.agrees);
  assert.is(subject.peers.count(' events'), 0);
  assert.is(subject.peers.count(' state_ids'), 1);
  assert.ok(bytes < 20_000 * 24, `${bytes} bytes`);
  await subject.close();
});

test('a server that gives its nodes one by one costs no more requests than a filling may', async () => {
  const subject = await apart({ gaps: { requestsMax: 6, retryMs: 1e9 } });
  for (let i = 0; i < NOTES; i++) await note(subject, i, 'after');
  subject.peers.responders.set(GAMMA, () => 404);
  twistNodes(subject, (asked, honestly) => {
    if (asked.path[0] !== 'state_nodes') return undefined;
    const paths = (own(asked.body, 'paths') as string[]).slice(0, 1);
    return honestly({ ...asked, body: { ...asked.body, paths } });
  });
  const newest = await hear(subject);
  assert.not.ok(subject.has(newest));
  assert.ok(subject.peers.asked.length <= 6, subject.peers.asked.join('\n'));
  await subject.close();
});

test('a tree of more entries than a state may have is refused before it is read', async () => {
  const subject = await apart({ gaps: { stateEntriesMax: 30, retryMs: 1e9 } });
  subject.peers.responders.set(GAMMA, () => 404);
  twistNodes(subject);
  await note(subject, 1, 'after');
  const newest = await hear(subject);
  assert.not.ok(subject.has(newest));
  assert.is(counts(subject)[`${BETA} state_nodes`], 1);
  await subject.close();
});

test.run();
