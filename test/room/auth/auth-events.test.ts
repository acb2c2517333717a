// Which events an event cites, and the rules on those it does cite.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { JsonObject } from '../../../src/event/json.js';
import type { Pdu } from '../../../src/event/pdu.js';
import { authStateOf, checkAuthEvents } from '../../../src/room/auth/auth-events.js';
import { authEventKeys } from '../../../src/room/auth/selection.js';
import { ALICE, BOB, CAROL, event, expectIn, member, room, rulesFor, type Draft } from './helpers.js';

const selection = suite('auth events selection');

function keys(version: string, { type, sender = ALICE, stateKey, content = {} }: Draft): string[] {
  const selected = authEventKeys({ rules: rulesFor(version), type, sender, stateKey, content });
  return selected.map(([name, key]) => `${name.slice('m.room.'.length)} ${key}`.trim());
}

const MESSAGE = { type: 'm.room.message' };

selection('a create event cites nothing', () => {
  for (const version of ['1', '11', '12'])
    assert.equal(keys(version, { type: 'm.room.create', stateKey: '' }), []);
});

selection(
  "every event cites create, power levels and its sender's membership; from version 12 not create",
  () => {
    const usual = ['create', 'power_levels', `member ${ALICE}`];
    for (const version of ['1', '6', '11']) assert.equal(keys(version, MESSAGE), usual);
    assert.equal(keys('12', MESSAGE), usual.slice(1));
  },
);

selection(
  "a membership event cites the target's membership, once, and the join rules when someone comes",
  () => {
    const of = (sender: string, target: string, membership: string) =>
      keys('12', member(sender, target, membership)).slice(1);
    assert.equal(of(ALICE, ALICE, 'join'), [`member ${ALICE}`, 'join_rules']);
    assert.equal(of(ALICE, BOB, 'invite'), [`member ${ALICE}`, `member ${BOB}`, 'join_rules']);
    assert.equal(of(BOB, BOB, 'knock'), [`member ${BOB}`, 'join_rules']);
    assert.equal(of(ALICE, BOB, 'leave'), [`member ${ALICE}`, `member ${BOB}`]);
    assert.equal(of(ALICE, BOB, 'ban'), [`member ${ALICE}`, `member ${BOB}`]);
  },
);

selection('an invite through a third party cites that invite by its token', () => {
  const via = (invite: JsonObject, membership = 'invite') =>
    keys('12', member(ALICE, BOB, membership, { third_party_invite: invite })).slice(4);
  assert.equal(via({ signed: { token: 'T' } }), ['third_party_invite T']);
  assert.equal(via({ signed: { token: 7 } }), []);
  assert.equal(via({ token: 'T' }), []);
  assert.equal(via({ signed: { token: 'T' } }, 'knock'), []);
});

selection("a restricted join cites the authorising user's membership, from version 8", () => {
  const join = member(BOB, BOB, 'join', { join_authorised_via_users_server: ALICE });
  assert.equal(keys('7', join).slice(2), [`member ${BOB}`, 'join_rules']);
  assert.equal(keys('8', join).slice(2), [`member ${BOB}`, 'join_rules', `member ${ALICE}`]);
  const self = member(BOB, BOB, 'join', { join_authorised_via_users_server: BOB });
  assert.equal(keys('8', self).slice(2), [`member ${BOB}`, 'join_rules']);
  const leave = member(BOB, BOB, 'leave', { join_authorised_via_users_server: ALICE });
  assert.equal(keys('8', leave).slice(2), [`member ${BOB}`]);
});

selection.run();

const cited = suite('rules on auth events');

function check(
  version: string,
  change: (proper: Pdu[]) => Pdu[],
  rejected: readonly string[] = [],
  draft: Draft = MESSAGE,
) {
  const create = rulesFor(version).authorisation.createIsImplied ? 1 : 0;
  const proper = room(version, { levels: {} }).slice(create);
  const authEvents = change(proper);
  const citing = event(version, { ...draft, authEvents: authEvents.map(({ eventId }) => eventId) });
  return checkAuthEvents(citing, authEvents, (id) => rejected.includes(id));
}

cited('those of the selection are accepted, and fewer too, as long as create is among them', () => {
  expectIn({ '1-11': 'allowed by 2', '12': 'allowed by 3' }, (version) => check(version, (proper) => proper));
  expectIn({ '1-11': 'allowed by 2' }, (version) => check(version, (proper) => proper.slice(0, 1)));
  expectIn({ '12': 'allowed by 3' }, (version) => check(version, () => []));
});

cited('two events for one key, or one event twice, are rejected', () => {
  const member = (version: string) => event(version, { type: 'm.room.member', stateKey: ALICE });
  expectIn({ '1-11': 'rejected by 2.1', '12': 'rejected by 3.1' }, (version) =>
    check(version, (proper) => [...proper, member(version)]),
  );
  expectIn({ '1-11': 'rejected by 2.1', '12': 'rejected by 3.1' }, (version) => {
    const [once] = room(version);
    assert.ok(once);
    const citing = event(version, { ...MESSAGE, authEvents: [once.eventId, once.eventId] });
    return checkAuthEvents(citing, [once], () => false);
  });
});

cited('an event that the selection does not name is rejected: another member, other state, a message', () => {
  const ranges = { '1-11': 'rejected by 2.2', '12': 'rejected by 3.2' };
  const drafts: Draft[] = [
    { type: 'm.room.member', sender: CAROL, stateKey: CAROL },
    { type: 'm.room.topic', stateKey: '' },
    { type: 'm.room.join_rules', stateKey: '' },
    { type: 'm.room.power_levels', stateKey: 'x' },
    { type: 'm.room.member' },
    MESSAGE,
  ];
  for (const draft of drafts)
    expectIn(ranges, (version) => check(version, (proper) => [...proper, event(version, draft)]));
});

cited('the create event is rejected in version 12, where the room id stands for it', () => {
  expectIn({ '12': 'rejected by 3.2' }, (version) =>
    check(version, (proper) => [...room(version).slice(0, 1), ...proper]),
  );
});

cited('an event that was rejected is rejected, and in version 12 a room whose create event was', () => {
  expectIn({ '1-11': 'rejected by 2.3', '12': 'rejected by 3.3' }, (version) => {
    const bad = event(version, { type: 'm.room.member', stateKey: ALICE, eventId: '$bad' });
    return check(version, (proper) => [...proper.filter(({ type }) => type !== 'm.room.member'), bad], [
      '$bad',
    ]);
  });
  expectIn({ '12': 'rejected by 2' }, (version) => check(version, (proper) => proper, ['$create']));
});

cited('up to version 11 they are rejected without the create event', () => {
  expectIn({ '1-11': 'rejected by 2.4' }, (version) => check(version, (proper) => proper.slice(1)));
  expectIn({ '1-11': 'rejected by 2.4' }, (version) => check(version, () => []));
});

cited('an event of another room is rejected', () => {
  expectIn({ '1-11': 'rejected by 2.5', '12': 'rejected by 3.4' }, (version) => {
    const foreign = event(version, { type: 'm.room.member', stateKey: ALICE, roomId: '!other:a.example' });
    return check(version, (proper) => [...proper.filter(({ type }) => type !== 'm.room.member'), foreign]);
  });
});

cited("nothing is asked of a create event's", () => {
  const draft = { type: 'm.room.create', stateKey: '' };
  expectIn({ '1-10': 'allowed by 1.5', '11': 'allowed by 1.4', '12': 'allowed by 1.5' }, (version) =>
    check(version, (proper) => [...proper, ...proper], [], draft),
  );
});

cited('a state made of events answers for exactly their keys', () => {
  const odd = event('11', { type: 'a', stateKey: 'bc' });
  const state = authStateOf([odd, event('11', MESSAGE)]);
  assert.is(state.get('a', 'bc'), odd);
  assert.is(state.get('ab', 'c'), undefined);
  assert.is(state.get('m.room.message', ''), undefined);
  assert.is(state.get('toString', ''), undefined);
});

cited.run();
