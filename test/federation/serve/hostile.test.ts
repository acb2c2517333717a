// Whatever another server sends, it is answered or refused.
//
// Model: every route, called with values that are right, nearly right and wild, by a member, a stranger and one
// whom the access list denies. Invariant: the handler answers or throws a FederationError with a status from 400 to
// 499 and an M_ code; anything else it throws fails the test. The room's state is what it was.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as fc from 'fast-check';
import { serveRoutes } from '../../../src/federation/serve/routes.js';
import { ALICE, BOB, CAROL, leaf, MEMBER, Resident, STRANGER } from './resident.js';

const test = suite('federation serve hostile');

const WILD = [
  '',
  '!',
  '$',
  '@',
  '#',
  '__proto__',
  'toString',
  '\0',
  '\ud800',
  '9'.repeat(400),
  '-1',
  'é'.repeat(300),
];

for (const version of ['1', '10', '12']) {
  test(`version ${version}: no request brings about anything but an answer or a refusal`, async () => {
    const at = await Resident.open(version);
    const roomId = await at.room();
    const { eventId } = await at.say(ALICE, 'hello');
    const join = at.build({
      type: 'm.room.member',
      sender: CAROL,
      stateKey: CAROL,
      content: { membership: 'knock' },
    });
    const { root } = at.engine.currentState(roomId);
    const word = fc.oneof(
      fc.constantFrom(
        roomId,
        eventId,
        join.eventId,
        ALICE,
        BOB,
        CAROL,
        '!x:alpha.test',
        'f',
        '12',
        'true',
        ...WILD,
      ),
      fc.string({ unit: 'binary', maxLength: 20 }),
    );
    const json = fc.oneof(
      fc.jsonValue({ maxDepth: 3 }),
      fc.constantFrom(join.json, [], {}, [null], { a: 1 }),
      word,
    );
    const names = [
      'device_keys',
      'one_time_keys',
      'event',
      'room_version',
      'invite_room_state',
      'limit',
      'min_depth',
      'earliest_events',
      'event_id',
      'event_ids',
      'from',
      'paths',
      'latest_events',
      'filter',
      'since',
      'mxid',
      'invites',
      'sender',
      'state_key',
      'content',
      'type',
      'room_id',
      'signatures',
      'hashes',
      'prev_events',
      'auth_events',
      'depth',
      'unsigned',
      '__proto__',
    ];
    const body = fc.oneof(
      fc.dictionary(fc.constantFrom(...names), json),
      fc.dictionary(fc.constantFrom(...names), json).map((changes) => ({ ...join.json, ...changes })),
      fc.constantFrom(12, 10, 1).map((v) => ({ room_version: String(v), event: join.json })),
    );
    const queryNames = [
      'event_id',
      'v',
      'limit',
      'ts',
      'dir',
      'ver',
      'user_id',
      'field',
      'room_alias',
      'since',
    ];
    const query = fc.dictionary(
      fc.constantFrom(
        ...queryNames,
        'access_token',
        'omit_members',
        'org.stateroom.members',
        'suggested_only',
      ),
      fc.oneof(word, fc.array(word, { maxLength: 4 })),
    );
    const calls = fc.record({
      route: fc.constantFrom(...serveRoutes),
      origin: fc.constantFrom(MEMBER, STRANGER),
      params: fc.record({ roomId: word, eventId: word, userId: word, mediaId: word }),
      query,
      body,
    });
    await fc.assert(
      fc.asyncProperty(calls, async ({ route, origin, params, query, body }) => {
        const served = await at.handle(route, origin, params, query, body);
        if (served.status === 200) return;
        assert.ok(served.status >= 400 && served.status < 500, `${route.path}: ${served.status}`);
        assert.ok(leaf(served.body['errcode']).startsWith('M_'), route.path);
        assert.ok(leaf(served.body['error']).length < 2_000, 'what is refused is not sent back whole');
      }),
      { numRuns: 400 },
    );
    assert.is(at.engine.currentState(roomId).root, root, 'nothing of it had an effect');
    await at.close();
  });
}

test('endless lists of ids cost bounded work', async () => {
  const at = await Resident.open();
  const roomId = await at.room();
  const { eventId } = await at.say(ALICE, 'hello');
  const ids = Array.from({ length: 100_000 }, (_, i) => `$${i}`);
  const path = `/v1/get_missing_events/${encodeURIComponent(roomId)}`;
  const reads = at.engine.reader.events.reads;
  await at.answer(MEMBER, 'POST', path, {
    latest_events: [eventId, ...ids],
    earliest_events: ids,
    limit: 1e9,
  });
  assert.ok(at.engine.reader.events.reads - reads < 2_000, 'of a list a beginning is looked at');
  await at.close();
});

test.run();
