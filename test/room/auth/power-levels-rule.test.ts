// The rule on m.room.power_levels, sentence by sentence, in every version.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { JsonNumber, type JsonObject, type JsonValue } from '../../../src/event/json.js';
import { ALICE, BOB, CAROL, expectIn, hear, outcome, room } from './helpers.js';

const powerLevels = suite('power levels rule');

const DAN = '@dan:d.example';

/** Bob, who has 50, sends power levels into a room with these. */
function change(before: JsonObject | undefined, after: JsonObject, stateKey = '') {
  return (version: string) => {
    const levels = before === undefined ? {} : { levels: { users: { [BOB]: 50 }, ...before } };
    const state = room(version, { members: { [BOB]: 'join' }, ...levels });
    const content = { users: { [BOB]: 50 }, ...after };
    return hear(version, state, {
      type: 'm.room.power_levels',
      stateKey,
      content,
      sender: before === undefined ? ALICE : BOB,
    });
  };
}

const ALLOWED = {
  '1-5': 'allowed by 10.8',
  '6-9': 'allowed by 9.8',
  '10-11': 'allowed by 9.10',
  '12': 'allowed by 10.11',
};

/** The number in the lists up to version 9, from which the later ones follow by 2 and 3. */
function rejectedBy(number: number, part = ''): Record<string, string> {
  return {
    '1-5': `rejected by 10.${number}${part}`,
    '6-9': `rejected by 9.${number}${part}`,
    '10-11': `rejected by 9.${number + 2}${part}`,
    '12': `rejected by 10.${number + 3}${part}`,
  };
}

powerLevels('from version 10 a level that is no integer is rejected', () => {
  for (const name of [
    'users_default',
    'events_default',
    'state_default',
    'ban',
    'redact',
    'kick',
    'invite',
  ]) {
    for (const wrong of ['50', true, null, [], {}, new JsonNumber('5.5', 5.5)]) {
      expectIn(
        { '10-11': 'rejected by 9.1', '12': 'rejected by 10.1' },
        change(undefined, { [name]: wrong }),
      );
    }
  }
});

powerLevels('from version 10 events and notifications must be objects of integers', () => {
  for (const name of ['events', 'notifications']) {
    for (const wrong of ['', null, [], 5, { a: '1' }, { a: null }, { a: {} }, { constructor: true }]) {
      expectIn(
        { '10-11': 'rejected by 9.2', '12': 'rejected by 10.2' },
        change(undefined, { [name]: wrong }),
      );
    }
  }
});

powerLevels('users must be an object of levels by user id', () => {
  const wrong: JsonValue[] = [
    '',
    null,
    [],
    5,
    { bob: 1 },
    { '@bob': 1 },
    { [BOB]: null },
    { [BOB]: 'x' },
    { [BOB]: [] },
    { ['__proto__']: 1 },
  ];
  for (const users of wrong) {
    const ranges = {
      '1-5': 'rejected by 10.1',
      '6-9': 'rejected by 9.1',
      '10-11': 'rejected by 9.3',
      '12': 'rejected by 10.3',
    };
    expectIn(ranges, change(undefined, { users }));
  }
  const first = { '1-5': 'allowed by 10.2', '6-9': 'allowed by 9.2' };
  expectIn(
    { ...first, '10-11': 'rejected by 9.3', '12': 'rejected by 10.3' },
    change(undefined, { users: { [BOB]: '50' } }),
  );
  expectIn({ '1-5': 'allowed by 10.2' }, change(undefined, { users: { [BOB]: new JsonNumber('5.5', 5.5) } }));
});

powerLevels('from version 12 creators may not be listed', () => {
  expectIn(
    { '11': 'allowed by 9.4', '12': 'rejected by 10.4' },
    change(undefined, { users: { [ALICE]: 100 } }),
  );
  const state = room('12', { create: { additional_creators: [CAROL] } });
  const draft = { type: 'm.room.power_levels', stateKey: '' };
  assert.is(outcome(hear('12', state, { ...draft, content: { users: { [CAROL]: 1 } } })), 'rejected by 10.4');
  assert.is(outcome(hear('12', state, { ...draft, content: { users: { [BOB]: 1 } } })), 'allowed by 10.5');
});

powerLevels('the first power levels of a room are allowed, and any under another key', () => {
  const first = {
    '1-5': 'allowed by 10.2',
    '6-9': 'allowed by 9.2',
    '10-11': 'allowed by 9.4',
    '12': 'allowed by 10.5',
  };
  expectIn(first, change(undefined, { ban: 1000 }));
  expectIn(first, change({ ban: 100 }, { ban: 1000 }, 'other'));
});

powerLevels(
  "no named level above the sender's own is changed, added or removed, and none is set above it",
  () => {
    for (const name of ['ban', 'redact', 'kick', 'invite']) {
      expectIn(rejectedBy(3, '.1'), change({ [name]: 51 }, { [name]: 50 }));
      expectIn(rejectedBy(3, '.1'), change({ [name]: 51 }, {}));
      expectIn(ALLOWED, change({ [name]: 51 }, { [name]: 51 }));
    }
    for (const name of [
      'users_default',
      'events_default',
      'state_default',
      'ban',
      'redact',
      'kick',
      'invite',
    ]) {
      expectIn(rejectedBy(3, '.2'), change({}, { [name]: 51 }));
      expectIn(ALLOWED, change({ [name]: 0 }, { [name]: 50 }));
      expectIn(ALLOWED, change({ [name]: 50 }, {}));
    }
  },
);

powerLevels(
  "no entry of events above the sender's own level is changed or removed, and none is set above it",
  () => {
    expectIn(rejectedBy(4, '.1'), change({ events: { a: 51 } }, { events: { a: 50 } }));
    expectIn(rejectedBy(4, '.1'), change({ events: { a: 51 } }, {}));
    expectIn(rejectedBy(5, '.1'), change({ events: { a: 50 } }, { events: { a: 51 } }));
    expectIn(rejectedBy(5, '.1'), change({}, { events: { ['__proto__']: 51 } }));
    expectIn(ALLOWED, change({ events: { a: 50, b: 99 } }, { events: { b: 99, c: 50 } }));
  },
);

powerLevels('from version 6 the same is asked of notifications', () => {
  const later = (number: number) => ({ ...rejectedBy(number, '.1'), '1-5': 'allowed by 10.8' });
  for (const [number, before, after] of [
    [4, { room: 51 }, { room: 50 }],
    [4, { room: 51 }, {}],
    [5, { room: 50 }, { room: 51 }],
    [5, {}, { room: 51 }],
  ] as const) {
    expectIn(later(number), change({ notifications: before }, { notifications: after }));
  }
  expectIn(ALLOWED, change({ notifications: { room: 50 } }, { notifications: { room: 20 } }));
});

powerLevels("no other user who has at least the sender's level is changed or removed", () => {
  const before = { users: { [BOB]: 50, [CAROL]: 50, [DAN]: 49 } };
  expectIn(rejectedBy(6, '.1'), change(before, { users: { [BOB]: 50, [CAROL]: 49, [DAN]: 49 } }));
  expectIn(rejectedBy(6, '.1'), change(before, { users: { [BOB]: 50, [DAN]: 49 } }));
  expectIn(ALLOWED, change(before, { users: { [BOB]: 50, [CAROL]: 50 } }));
  expectIn(ALLOWED, change(before, { users: { [BOB]: 0, [CAROL]: 50, [DAN]: 50 } }));
  expectIn(ALLOWED, change(before, { users: { [CAROL]: 50, [DAN]: 49 } }));
});

powerLevels('nobody is given more than the sender has, the sender neither', () => {
  expectIn(rejectedBy(7, '.1'), change({}, { users: { [BOB]: 51 } }));
  expectIn(rejectedBy(7, '.1'), change({}, { users: { [BOB]: 50, [CAROL]: 51 } }));
  expectIn(ALLOWED, change({}, { users: { [BOB]: 50, [CAROL]: 50 } }));
});

powerLevels('a creator of a version 12 room changes everything, up to the greatest level', () => {
  const greatest = 9007199254740991;
  const state = room('12', { levels: { ban: greatest, users: { [BOB]: greatest } } });
  const draft = {
    type: 'm.room.power_levels',
    stateKey: '',
    content: { kick: greatest, users: { [BOB]: 1 } },
  };
  assert.is(outcome(hear('12', state, draft)), 'allowed by 10.11');
});

powerLevels(
  'up to version 9 a string of the same value is no change, and one that is no integer cannot be set',
  () => {
    const ranges = { '1-5': 'allowed by 10.8', '6-9': 'allowed by 9.8' };
    expectIn(
      ranges,
      change(
        { ban: 70, users: { [BOB]: '50', [CAROL]: 90 } },
        { ban: ' +0_70 ', users: { [BOB]: 50, [CAROL]: '90' } },
      ),
    );
    for (const wrong of ['fifty', '', '5.0', null, [], {}]) {
      expectIn({ '1-5': 'rejected by 10.3.2', '6-9': 'rejected by 9.3.2' }, change({}, { kick: wrong }));
      expectIn({ '1-5': 'rejected by 10.3.1', '6-9': 'rejected by 9.3.1' }, change({ redact: wrong }, {}));
      expectIn(
        { '1-5': 'rejected by 10.5.1', '6-9': 'rejected by 9.5.1' },
        change({}, { events: { a: wrong } }),
      );
    }
  },
);

powerLevels(
  'up to version 9 an empty array or string stands for an empty map of levels, and nothing else does',
  () => {
    const ranges = { '1-5': 'allowed by 10.8', '6-9': 'allowed by 9.8' };
    for (const empty of [[], '']) {
      expectIn(ranges, change({}, { events: empty }));
      expectIn({ '6-9': 'allowed by 9.8' }, change({ notifications: empty }, { notifications: empty }));
    }
    for (const wrong of [null, 5, 'x', ['x']]) {
      expectIn({ '1-5': 'rejected by 10.5.1', '6-9': 'rejected by 9.5.1' }, change({}, { events: wrong }));
      expectIn(
        { '1-5': 'allowed by 10.8', '6-9': 'rejected by 9.5.1' },
        change({}, { notifications: wrong }),
      );
      expectIn({ '6-9': 'rejected by 9.4.1' }, change({ notifications: wrong }, {}));
    }
  },
);

powerLevels.run();
