import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Harness, itemsOf, type Json, type TestUser, textOf } from './harness.js';
import { bodies, leaf, Rooms, v3 } from './rooms.js';

const test = suite<{ harness: Harness; rooms: Rooms; alice: TestUser; bob: TestUser; roomId: string }>(
  'relations',
);

test.before.each(async (context) => {
  context.harness = await Harness.open();
  context.rooms = new Rooms(context.harness);
  context.alice = await context.harness.user('alice');
  context.bob = await context.harness.user('bob');
  context.roomId = await context.rooms.create(context.alice, { preset: 'public_chat' });
  await context.rooms.join(context.bob, context.roomId);
});
test.after.each(({ harness }) => harness.close());

let txn = 0;

/** Sends what relates to an event. @returns the event's id */
async function relate(
  rooms: Rooms,
  who: TestUser,
  roomId: string,
  parent: string,
  relation: {
    readonly rel_type: string;
    readonly type?: string;
    readonly content?: object;
    readonly key?: string;
  },
): Promise<string> {
  const { rel_type, type = 'm.room.message', content, key } = relation;
  const answer = await rooms.ask(who, 'PUT', v3`rooms/${roomId}/send/${type}/${`r${++txn}`}`, {
    ...content,
    'm.relates_to': { rel_type, event_id: parent, ...(key === undefined ? {} : { key }) },
  });
  return textOf(answer['event_id']);
}

const thread = (body: string) => ({ rel_type: 'm.thread', content: { msgtype: 'm.text', body } });
const edit = (body: string) => ({
  rel_type: 'm.replace',
  content: { msgtype: 'm.text', body: `* ${body}`, 'm.new_content': { msgtype: 'm.text', body } },
});
const reaction = (key: string) => ({ rel_type: 'm.annotation', type: 'm.reaction', key });

const path = (roomId: string, parent: string, rest = '', query: Record<string, string> = {}): string =>
  `/v1/rooms/${encodeURIComponent(roomId)}/relations/${encodeURIComponent(parent)}${rest}?${new URLSearchParams(query).toString()}`;

const relationsOf = (event: Json | undefined): Json | undefined => event?.['unsigned']?.['m.relations'];

async function eventOf(rooms: Rooms, who: TestUser, roomId: string, eventId: string): Promise<Json> {
  return rooms.ask(who, 'GET', v3`rooms/${roomId}/event/${eventId}`);
}

test('what relates to an event is given newest first, or oldest first, all of it or of one relation or type', async ({
  rooms,
  alice,
  bob,
  roomId,
}) => {
  const root = await rooms.say(alice, roomId, 'root');
  const one = await relate(rooms, bob, roomId, root, thread('one'));
  const smile = await relate(rooms, bob, roomId, root, reaction('🙂'));
  const two = await relate(rooms, alice, roomId, root, thread('two'));
  await rooms.say(bob, roomId, 'unrelated');
  const ids = async (rest = '', query = {}) =>
    itemsOf((await rooms.ask(alice, 'GET', path(roomId, root, rest, query)))['chunk']).map((event) =>
      textOf(event['event_id']),
    );
  assert.equal(await ids(), [two, smile, one]);
  assert.equal(await ids('', { dir: 'f' }), [one, smile, two]);
  assert.equal(await ids('/m.thread'), [two, one]);
  assert.equal(await ids('/m.annotation/m.reaction'), [smile]);
  assert.equal(await ids('/m.annotation/m.room.message'), []);
  assert.equal(await ids('/m.replace'), []);
});

test('pages of relations hold each event once, in either direction', async ({ rooms, alice, roomId }) => {
  const root = await rooms.say(alice, roomId, 'root');
  const said: string[] = [];
  for (let i = 1; i <= 7; i++) {
    said.push(`reply ${i}`);
    await relate(rooms, alice, roomId, root, thread(`reply ${i}`));
  }
  for (const dir of ['b', 'f']) {
    const read: string[] = [];
    let from: string | undefined;
    for (let pages = 0; pages < 4; pages++) {
      const query = { dir, limit: '3', ...(from === undefined ? {} : { from }) };
      const page = await rooms.ask(alice, 'GET', path(roomId, root, '/m.thread', query));
      read.push(...bodies(page['chunk']));
      assert.is(page['prev_batch'], from);
      if (page['next_batch'] === undefined) break;
      from = textOf(page['next_batch']);
    }
    assert.equal(dir === 'f' ? read : read.reverse(), said);
  }
});

test('what relates to relations is given too where the client asks for it', async ({
  rooms,
  alice,
  bob,
  roomId,
}) => {
  const root = await rooms.say(alice, roomId, 'root');
  const reply = await relate(rooms, bob, roomId, root, thread('repyl'));
  const edited = await relate(rooms, bob, roomId, reply, edit('reply'));
  const direct = await rooms.ask(alice, 'GET', path(roomId, root));
  assert.equal(
    itemsOf(direct['chunk']).map(({ event_id }) => leaf(event_id)),
    [reply],
  );
  assert.is(direct['recursion_depth'], undefined);
  const all = await rooms.ask(alice, 'GET', path(roomId, root, '', { recurse: 'true' }));
  assert.equal(
    itemsOf(all['chunk']).map(({ event_id }) => leaf(event_id)),
    [edited, reply],
  );
  assert.is(all['recursion_depth'], 3);
});

test('relations of an event that is not there, or not for the one who asks, are not found', async ({
  harness,
  rooms,
  alice,
  roomId,
}) => {
  const root = await rooms.say(alice, roomId, 'root');
  const stranger = await harness.user('stranger');
  await rooms.refused([404, 'M_NOT_FOUND'], stranger, 'GET', path(roomId, root));
  await rooms.refused([404, 'M_NOT_FOUND'], alice, 'GET', path(roomId, '$nowhere'));
  await rooms.refused([400, 'M_INVALID_PARAM'], alice, 'GET', path(roomId, root, '', { from: 'elsewhere' }));
});

test('an event comes with its thread: how long it is, its newest event, and whether one takes part', async ({
  harness,
  rooms,
  alice,
  bob,
  roomId,
}) => {
  const carol = await harness.user('carol');
  await rooms.join(carol, roomId);
  const root = await rooms.say(alice, roomId, 'root');
  await relate(rooms, bob, roomId, root, thread('one'));
  const newest = await relate(rooms, bob, roomId, root, thread('tow'));
  const better = await relate(rooms, bob, roomId, newest, edit('two'));
  for (const [who, takesPart] of [
    [alice, true],
    [bob, true],
    [carol, false],
  ] as const) {
    const found = relationsOf(await eventOf(rooms, who, roomId, root))?.['m.thread'];
    assert.is(found?.['count'], 2);
    assert.is(found?.['current_user_participated'], takesPart);
    const latest = found?.['latest_event'];
    assert.is(leaf(latest?.['event_id']), newest);
    assert.is(leaf(latest?.['room_id']), roomId);
    assert.is(leaf(relationsOf(latest)?.['m.replace']?.['event_id']), better);
  }
});

test('an event comes with its newest edit, of those that its sender may make', async ({
  harness,
  rooms,
  alice,
  bob,
  roomId,
}) => {
  const message = await rooms.say(alice, roomId, 'helo');
  await relate(rooms, alice, roomId, message, edit('hallo'));
  harness.advance(1);
  const newest = await relate(rooms, alice, roomId, message, edit('hello'));
  harness.advance(1);
  await relate(rooms, bob, roomId, message, edit('goodbye'));
  await relate(rooms, alice, roomId, message, { rel_type: 'm.replace', content: { body: 'nothing new' } });
  const event = await eventOf(rooms, bob, roomId, message);
  assert.is(leaf(relationsOf(event)?.['m.replace']?.['event_id']), newest);
  assert.is(leaf(event['content']?.['body']), 'helo');
  await rooms.ask(alice, 'PUT', v3`rooms/${roomId}/redact/${message}/r1`);
  assert.is(relationsOf(await eventOf(rooms, bob, roomId, message)), undefined);
});

test('an event comes with the ids of those that refer to it', async ({ rooms, alice, bob, roomId }) => {
  const event = await rooms.say(alice, roomId, 'verify me');
  const first = await relate(rooms, bob, roomId, event, {
    rel_type: 'm.reference',
    type: 'org.example.ready',
  });
  const second = await relate(rooms, alice, roomId, event, {
    rel_type: 'm.reference',
    type: 'org.example.done',
  });
  assert.equal(relationsOf(await eventOf(rooms, alice, roomId, event)), {
    'm.reference': { chunk: [{ event_id: first }, { event_id: second }] },
  });
});

test('what was redacted, or is said by who is ignored, relates to nothing', async ({
  rooms,
  alice,
  bob,
  roomId,
}) => {
  const root = await rooms.say(alice, roomId, 'root');
  const gone = await relate(rooms, alice, roomId, root, thread('gone'));
  await relate(rooms, bob, roomId, root, thread('from bob'));
  await rooms.ask(alice, 'PUT', v3`rooms/${roomId}/redact/${gone}/r1`);
  const chunk = async () => bodies((await rooms.ask(alice, 'GET', path(roomId, root)))['chunk']);
  assert.equal(await chunk(), ['from bob']);
  await rooms.ask(alice, 'PUT', v3`user/${alice.userId}/account_data/m.ignored_user_list`, {
    ignored_users: { [bob.userId]: {} },
  });
  assert.equal(await chunk(), []);
  assert.is(relationsOf(await eventOf(rooms, alice, roomId, root)), undefined);
});

test('what lies before one could read the room is in no thread', async ({
  harness,
  rooms,
  alice,
  roomId,
}) => {
  await rooms.set(alice, roomId, 'm.room.history_visibility', { history_visibility: 'world_readable' });
  const root = await rooms.say(alice, roomId, 'root');
  await rooms.set(alice, roomId, 'm.room.history_visibility', { history_visibility: 'joined' });
  await relate(rooms, alice, roomId, root, thread('before'));
  const carol = await harness.user('carol');
  await rooms.join(carol, roomId);
  await relate(rooms, alice, roomId, root, thread('after'));
  assert.is(relationsOf(await eventOf(rooms, carol, roomId, root))?.['m.thread']?.['count'], 1);
  assert.equal(bodies((await rooms.ask(carol, 'GET', path(roomId, root)))['chunk']), ['after']);
});

test('the threads of a room are listed by their newest replies, each once, also over pages', async ({
  rooms,
  alice,
  bob,
  roomId,
}) => {
  const roots: string[] = [];
  for (let i = 0; i < 4; i++) roots.push(await rooms.say(alice, roomId, `root ${i}`));
  const [first = '', second = '', third = '', fourth = ''] = roots;
  await relate(rooms, alice, roomId, first, thread('1a'));
  await relate(rooms, bob, roomId, second, thread('2a'));
  await relate(rooms, alice, roomId, third, thread('3a'));
  await relate(rooms, bob, roomId, first, thread('1b'));
  const gone = await relate(rooms, bob, roomId, third, thread('3b'));
  await rooms.ask(bob, 'PUT', v3`rooms/${roomId}/redact/${gone}/r1`);
  await relate(rooms, bob, roomId, fourth, edit('no thread'));
  const list = async (query: Record<string, string>) => {
    const at = `/v1/rooms/${encodeURIComponent(roomId)}/threads?${new URLSearchParams(query).toString()}`;
    const answer = await rooms.ask(bob, 'GET', at);
    return { answer, texts: bodies(answer['chunk']) };
  };
  const all = await list({});
  assert.equal(all.texts, ['root 0', 'root 2', 'root 1']);
  assert.is(all.answer['next_batch'], undefined);
  assert.is(relationsOf(itemsOf(all.answer['chunk'])[0])?.['m.thread']?.['count'], 2);
  const page = await list({ limit: '2' });
  assert.equal(page.texts, ['root 0', 'root 2']);
  const rest = await list({ limit: '2', from: textOf(page.answer['next_batch']) });
  assert.equal(rest.texts, ['root 1']);
  assert.equal((await list({ include: 'participated' })).texts, ['root 0', 'root 1']);
});

test('a thread that somebody ignored began is listed without what they said', async ({
  rooms,
  alice,
  bob,
  roomId,
}) => {
  const root = await rooms.say(bob, roomId, 'root');
  await relate(rooms, alice, roomId, root, thread('reply'));
  await rooms.ask(alice, 'PUT', v3`user/${alice.userId}/account_data/m.ignored_user_list`, {
    ignored_users: { [bob.userId]: {} },
  });
  const { chunk } = await rooms.ask(alice, 'GET', `/v1/rooms/${encodeURIComponent(roomId)}/threads`);
  const [listed] = itemsOf(chunk);
  assert.equal(listed?.['content'], {});
  assert.is(leaf(relationsOf(listed)?.['m.thread']?.['latest_event']?.['content']?.['body']), 'reply');
});

test('strangers are told of no threads', async ({ harness, rooms, roomId }) => {
  const stranger = await harness.user('stranger');
  const at = `/v1/rooms/${encodeURIComponent(roomId)}/threads`;
  await rooms.refused([403, 'M_FORBIDDEN'], stranger, 'GET', at);
});

test('history and a sync with a gap tell of relations; a sync without one does not', async ({
  rooms,
  alice,
  roomId,
}) => {
  const root = await rooms.say(alice, roomId, 'root');
  await relate(rooms, alice, roomId, root, thread('reply'));
  const rootIn = (events: Json | undefined) =>
    itemsOf(events).find((event) => leaf(event['event_id']) === root);
  const history = await rooms.ask(alice, 'GET', `${v3`rooms/${roomId}/messages`}?dir=b`);
  assert.is(relationsOf(rootIn(history['chunk']))?.['m.thread']?.['count'], 1);
  for (const [limit, count] of [
    [2, 1],
    [50, undefined],
  ] as const) {
    const filter = JSON.stringify({ room: { timeline: { limit } } });
    const answer = await rooms.ask(alice, 'GET', `/v3/sync?${new URLSearchParams({ filter }).toString()}`);
    const timeline = answer['rooms']?.['join']?.[roomId]?.['timeline'];
    assert.is(timeline?.['limited'], count !== undefined);
    assert.is(relationsOf(rootIn(timeline?.['events']))?.['m.thread']?.['count'], count);
  }
});

test.run();
