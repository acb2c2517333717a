// The rules on m.room.member, sentence by sentence, in every version that has them.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { JsonValue } from '../../../src/event/json.js';
import { ALICE, BOB, CAROL, expectIn, hear, member, room, type RoomDraft } from './helpers.js';

const members = suite('member rules');

/** Levels that hold in every version: Alice is a creator, and may not be listed in version 12. */
const LEVELS = { users: { [BOB]: 50 }, invite: 50 };

members('a membership without state key, or without a user in it, or without membership is rejected', () => {
  const ranges = { '1-5': 'rejected by 5.1', '6-11': 'rejected by 4.1', '12': 'rejected by 5.1' };
  const content = { membership: 'join' };
  expectIn(ranges, (version) => hear(version, room(version), { type: 'm.room.member', content }));
  expectIn(ranges, (version) =>
    hear(version, room(version), { type: 'm.room.member', stateKey: '', content }),
  );
  expectIn(ranges, (version) =>
    hear(version, room(version), { type: 'm.room.member', stateKey: ALICE, content: {} }),
  );
});

members(
  'an authorising user that names no server is rejected, from version 8, where it means something',
  () => {
    const draft = member(BOB, BOB, 'join', { join_authorised_via_users_server: 'alice' });
    const hearIn = (version: string) => hear(version, room(version, { joinRule: 'public' }), draft);
    expectIn({ '1-5': 'allowed by 5.2.5', '6-7': 'allowed by 4.2.5' }, hearIn);
    expectIn({ '8-11': 'rejected by 4.2.1', '12': 'rejected by 5.2.1' }, hearIn);
  },
);

members('an invite needs a joined sender, a target who is not there or banned, and the level', () => {
  const hearIn =
    (sender: string, target: string, draft: RoomDraft = {}) =>
    (version: string) =>
      hear(version, room(version, { levels: LEVELS, ...draft }), member(sender, target, 'invite'));
  const ranges = (allowed: string, part: string) => ({
    '1-5': `${allowed} by 5.3.${part}`,
    '6-7': `${allowed} by 4.3.${part}`,
    '8-11': `${allowed} by 4.4.${part}`,
    '12': `${allowed} by 5.4.${part}`,
  });
  expectIn(ranges('rejected', '2'), hearIn(BOB, CAROL));
  expectIn(ranges('rejected', '3'), hearIn(BOB, CAROL, { members: { [BOB]: 'join', [CAROL]: 'join' } }));
  expectIn(ranges('rejected', '3'), hearIn(BOB, CAROL, { members: { [BOB]: 'join', [CAROL]: 'ban' } }));
  expectIn(ranges('allowed', '4'), hearIn(BOB, CAROL, { members: { [BOB]: 'join' } }));
  expectIn(ranges('allowed', '4'), hearIn(BOB, CAROL, { members: { [BOB]: 'join', [CAROL]: 'invite' } }));
  expectIn(ranges('rejected', '5'), hearIn(CAROL, '@dan:d.example', { members: { [CAROL]: 'join' } }));
});

members('who left a room, or never was there, cannot leave it; who is invited or joined can', () => {
  const hearIn = (membership: string | undefined) => (version: string) =>
    hear(
      version,
      room(version, membership === undefined ? {} : { members: { [BOB]: membership } }),
      member(BOB, BOB, 'leave'),
    );
  const ranges = (allowed: string) => ({
    '1-5': `${allowed} by 5.4.1`,
    '6': `${allowed} by 4.4.1`,
    '7': `${allowed} by 4.4.1`,
    '8-11': `${allowed} by 4.5.1`,
    '12': `${allowed} by 5.5.1`,
  });
  for (const membership of ['join', 'invite']) expectIn(ranges('allowed'), hearIn(membership));
  for (const membership of ['leave', 'ban', undefined]) expectIn(ranges('rejected'), hearIn(membership));
  expectIn(
    { '1-5': 'rejected by 5.4.1', '6': 'rejected by 4.4.1', '7': 'allowed by 4.4.1' },
    hearIn('knock'),
  );
});

members(
  'a kick needs a joined sender, the kick level and more than the target has; an unban also the ban level',
  () => {
    const hearIn =
      (membership: string, levels: RoomDraft['levels'], bob = 'join') =>
      (version: string) =>
        hear(
          version,
          room(version, { levels: levels ?? {}, members: { [BOB]: bob, [CAROL]: membership } }),
          member(BOB, CAROL, 'leave'),
        );
    const ranges = (allowed: string, part: string) => ({
      '1-5': `${allowed} by 5.4.${part}`,
      '6-7': `${allowed} by 4.4.${part}`,
      '8-11': `${allowed} by 4.5.${part}`,
      '12': `${allowed} by 5.5.${part}`,
    });
    const bobHas = (level: number, carol = 0) => ({
      users: { [BOB]: level, [CAROL]: carol },
      kick: 40,
      ban: 60,
    });
    expectIn(ranges('rejected', '2'), hearIn('join', bobHas(100), 'leave'));
    expectIn(ranges('rejected', '3'), hearIn('ban', bobHas(59)));
    expectIn(ranges('allowed', '4'), hearIn('ban', bobHas(60)));
    expectIn(ranges('allowed', '4'), hearIn('join', bobHas(40)));
    expectIn(ranges('rejected', '5'), hearIn('join', bobHas(39)));
    expectIn(ranges('rejected', '5'), hearIn('join', bobHas(40, 40)));
    expectIn(ranges('allowed', '4'), hearIn('join', bobHas(41, 40)));
  },
);

members('a ban needs a joined sender, the ban level and more than the target has', () => {
  const hearIn =
    (bob: number, carol: number, membership = 'join') =>
    (version: string) =>
      hear(
        version,
        room(version, { levels: { users: { [BOB]: bob, [CAROL]: carol } }, members: { [BOB]: membership } }),
        member(BOB, CAROL, 'ban'),
      );
  const ranges = (allowed: string, part: string) => ({
    '1-5': `${allowed} by 5.5.${part}`,
    '6-7': `${allowed} by 4.5.${part}`,
    '8-11': `${allowed} by 4.6.${part}`,
    '12': `${allowed} by 5.6.${part}`,
  });
  expectIn(ranges('rejected', '1'), hearIn(100, 0, 'invite'));
  expectIn(ranges('allowed', '2'), hearIn(50, 49));
  expectIn(ranges('rejected', '3'), hearIn(49, 0));
  expectIn(ranges('rejected', '3'), hearIn(50, 50));
});

members('one may knock for oneself where the join rule says so, when not there, invited or banned', () => {
  const hearIn =
    (joinRule: string, membership: string, sender = BOB) =>
    (version: string) =>
      hear(
        version,
        room(version, { joinRule, members: { [BOB]: membership } }),
        member(sender, BOB, 'knock'),
      );
  const ranges = (allowed: string, part: string) => ({
    '7': `${allowed} by 4.6.${part}`,
    '8-11': `${allowed} by 4.7.${part}`,
    '12': `${allowed} by 5.7.${part}`,
  });
  expectIn(ranges('rejected', '1'), hearIn('invite', 'leave'));
  expectIn(ranges('rejected', '2'), hearIn('knock', 'leave', ALICE));
  for (const membership of ['leave', 'knock']) expectIn(ranges('allowed', '3'), hearIn('knock', membership));
  for (const membership of ['ban', 'invite', 'join'])
    expectIn(ranges('rejected', '4'), hearIn('knock', membership));
  expectIn({ '7': 'rejected by 4.6.1', '8-9': 'rejected by 4.7.1' }, hearIn('knock_restricted', 'leave'));
  expectIn({ '10-11': 'allowed by 4.7.3', '12': 'allowed by 5.7.3' }, hearIn('knock_restricted', 'leave'));
});

members('a membership that the version does not know is rejected', () => {
  const hearIn = (membership: JsonValue) => (version: string) =>
    hear(version, room(version, { joinRule: 'knock' }), member(ALICE, ALICE, membership));
  expectIn({ '1-5': 'rejected by 5.6', '6': 'rejected by 4.6' }, hearIn('knock'));
  for (const membership of ['constructor', null, 1, ['join']]) {
    expectIn(
      {
        '1-5': 'rejected by 5.6',
        '6': 'rejected by 4.6',
        '7': 'rejected by 4.7',
        '8-11': 'rejected by 4.8',
        '12': 'rejected by 5.8',
      },
      hearIn(membership),
    );
  }
});

members(
  'nobody kicks or bans a creator of a version 12 room, and a creator may kick or ban everyone else',
  () => {
    const state = room('12', {
      create: { additional_creators: [BOB] },
      members: { [BOB]: 'join', [CAROL]: 'join' },
      levels: { users: { [CAROL]: 9007199254740991 }, ban: 9007199254740991 },
    });
    assert.not(hear('12', state, member(CAROL, BOB, 'ban')).allowed);
    assert.not(hear('12', state, member(ALICE, BOB, 'leave')).allowed);
    assert.ok(hear('12', state, member(BOB, CAROL, 'ban')).allowed);
    assert.ok(hear('12', state, member(ALICE, CAROL, 'leave')).allowed);
  },
);

members('a verdict names the levels compared, the events it rested on and what would help', () => {
  const state = room('11', {
    levels: { users: { [BOB]: 10, [CAROL]: 20 } },
    members: { [BOB]: 'join', [CAROL]: 'join' },
  });
  const verdict = hear('11', state, member(BOB, CAROL, 'ban'));
  assert.is(verdict.reason, `${BOB} may not ban ${CAROL}: level 10, needed 50, ${CAROL} has 20`);
  assert.is(verdict.remedy, `${BOB} needs level 50, has 10`);
  const named = verdict.restedOn.map((id) => state.find(({ eventId }) => eventId === id)?.type);
  assert.equal(named, ['m.room.create', 'm.room.member', 'm.room.power_levels']);

  assert.is(
    hear('11', room('11'), member(BOB, BOB, 'join')).remedy,
    `an invite for ${BOB}, or join rule public`,
  );
});

members.run();
