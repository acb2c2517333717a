// The rules on joins, sentence by sentence, in every version that has them.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { JsonValue } from '../../../src/event/json.js';
import { ALICE, BOB, CAROL, expectIn, hear, member, room, type RoomDraft } from './helpers.js';

const joins = suite('join rules');

/** Levels that hold in every version: Alice is a creator, and may not be listed in version 12. */
const LEVELS = { users: { [BOB]: 50 }, invite: 50 };

joins('the creator may join when the only previous event is the create event', () => {
  const join = { ...member(ALICE, ALICE, 'join'), prevEvents: ['$create'] };
  const empty = (version: string) => room(version).slice(0, 1);
  expectIn(
    {
      '1-5': 'allowed by 5.2.1',
      '6-7': 'allowed by 4.2.1',
      '8-11': 'allowed by 4.3.1',
      '12': 'allowed by 5.3.1',
    },
    (version) => hear(version, empty(version), join),
  );
  const otherwise = {
    '1-5': 'rejected by 5.2.6',
    '6-7': 'rejected by 4.2.6',
    '8-11': 'rejected by 4.3.7',
    '12': 'rejected by 5.3.7',
  };
  expectIn(otherwise, (version) =>
    hear(version, empty(version), { ...join, prevEvents: ['$create', '$other'] }),
  );
  expectIn(otherwise, (version) => hear(version, empty(version), { ...join, prevEvents: ['$other'] }));
  expectIn(otherwise, (version) =>
    hear(version, empty(version), { ...member(BOB, BOB, 'join'), prevEvents: ['$create'] }),
  );
});

joins('an additional creator does not join by being one', () => {
  const state = room('12', { create: { additional_creators: [BOB] } });
  expectIn({ '12': 'rejected by 5.3.7' }, (version) =>
    hear(version, state, { ...member(BOB, BOB, 'join'), prevEvents: ['$create'] }),
  );
});

joins('nobody joins for another, and nobody who is banned joins', () => {
  const banned = (version: string) => room(version, { members: { [BOB]: 'ban' }, joinRule: 'public' });
  expectIn(
    {
      '1-5': 'rejected by 5.2.2',
      '6-7': 'rejected by 4.2.2',
      '8-11': 'rejected by 4.3.2',
      '12': 'rejected by 5.3.2',
    },
    (version) => hear(version, banned(version), member(ALICE, BOB, 'join')),
  );
  expectIn(
    {
      '1-5': 'rejected by 5.2.3',
      '6-7': 'rejected by 4.2.3',
      '8-11': 'rejected by 4.3.3',
      '12': 'rejected by 5.3.3',
    },
    (version) => hear(version, banned(version), member(BOB, BOB, 'join')),
  );
  assert.is(hear('11', banned('11'), member(BOB, BOB, 'join')).remedy, `unban ${BOB}`);
});

joins('with join rule invite, or none, the invited and the joined may join', () => {
  const draft = member(BOB, BOB, 'join');
  for (const joinRule of ['invite', undefined]) {
    const rules: RoomDraft = joinRule === undefined ? {} : { joinRule };
    for (const membership of ['invite', 'join']) {
      expectIn(
        {
          '1-5': 'allowed by 5.2.4',
          '6-7': 'allowed by 4.2.4',
          '8-11': 'allowed by 4.3.4',
          '12': 'allowed by 5.3.4',
        },
        (version) => hear(version, room(version, { ...rules, members: { [BOB]: membership } }), draft),
      );
    }
    for (const membership of ['leave', 'knock', 7, null]) {
      expectIn(
        {
          '1-5': 'rejected by 5.2.6',
          '6-7': 'rejected by 4.2.6',
          '8-11': 'rejected by 4.3.7',
          '12': 'rejected by 5.3.7',
        },
        (version) => hear(version, room(version, { ...rules, members: { [BOB]: membership } }), draft),
      );
    }
  }
});

joins('join rule knock is join rule invite from version 7, and closes the room before', () => {
  const hearIn = (version: string) =>
    hear(
      version,
      room(version, { joinRule: 'knock', members: { [BOB]: 'invite' } }),
      member(BOB, BOB, 'join'),
    );
  expectIn({ '1-5': 'rejected by 5.2.6', '6': 'rejected by 4.2.6', '7': 'allowed by 4.2.4' }, hearIn);
  expectIn({ '8-11': 'allowed by 4.3.4', '12': 'allowed by 5.3.4' }, hearIn);
});

joins('join rule public lets all in; one that is not known lets nobody in', () => {
  const hearIn = (joinRule: JsonValue) => (version: string) =>
    hear(version, room(version, { joinRule, members: { [BOB]: 'invite' } }), member(BOB, BOB, 'join'));
  expectIn(
    {
      '1-5': 'allowed by 5.2.5',
      '6-7': 'allowed by 4.2.5',
      '8-11': 'allowed by 4.3.6',
      '12': 'allowed by 5.3.6',
    },
    hearIn('public'),
  );
  for (const joinRule of ['private', 'toString', null, ['public'], {}]) {
    expectIn(
      {
        '1-5': 'rejected by 5.2.6',
        '6-7': 'rejected by 4.2.6',
        '8-11': 'rejected by 4.3.7',
        '12': 'rejected by 5.3.7',
      },
      hearIn(joinRule),
    );
  }
});

joins('with join rule restricted a joined user who may invite must have authorised the join', () => {
  const hearIn = (joinRule: string, draft: RoomDraft, authorising?: JsonValue) => (version: string) =>
    hear(
      version,
      room(version, { levels: LEVELS, joinRule, ...draft }),
      member(
        CAROL,
        CAROL,
        'join',
        authorising === undefined ? {} : { join_authorised_via_users_server: authorising },
      ),
    );
  for (const [joinRule, v8, v9] of [
    ['restricted', '8-11', '12'],
    ['knock_restricted', '10-11', '12'],
  ] as const) {
    const ranges = (allowed: string, part: string) => ({
      [v8]: `${allowed} by 4.3.5.${part}`,
      [v9]: `${allowed} by 5.3.5.${part}`,
    });
    expectIn(ranges('allowed', '1'), hearIn(joinRule, { members: { [CAROL]: 'invite' } }));
    expectIn(ranges('allowed', '1'), hearIn(joinRule, { members: { [CAROL]: 'join' } }));
    expectIn(ranges('allowed', '3'), hearIn(joinRule, { members: { [BOB]: 'join' } }, BOB));
    expectIn(ranges('rejected', '2'), hearIn(joinRule, { members: { [BOB]: 'join' } }));
    expectIn(ranges('rejected', '2'), hearIn(joinRule, { members: { [BOB]: 'leave' } }, BOB));
    expectIn(
      ranges('rejected', '2'),
      hearIn(joinRule, { members: { [BOB]: 'join' }, levels: { invite: 51, users: { [BOB]: 50 } } }, BOB),
    );
  }
  expectIn(
    { '1-5': 'rejected by 5.2.6', '6-7': 'rejected by 4.2.6' },
    hearIn('restricted', { members: { [CAROL]: 'invite' } }),
  );
  expectIn({ '8-9': 'rejected by 4.3.7' }, hearIn('knock_restricted', { members: { [CAROL]: 'invite' } }));
});

joins.run();
