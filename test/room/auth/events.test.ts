// The rules on all other events: create, federation, aliases, the sender, levels, keys, redactions.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { JsonObject, JsonValue } from '../../../src/event/json.js';
import { ALICE, BOB, CAROL, expectIn, hear, room, rulesFor, type Draft } from './helpers.js';

const events = suite('event rules');

const TOPIC = { type: 'm.room.topic', stateKey: '', content: { topic: 'x' } };
const MESSAGE = { type: 'm.room.message', content: { body: 'x' } };

function create(version: string, content: JsonObject = {}, more: Partial<Draft> = {}): Draft {
  const creator = rulesFor(version).authorisation.creatorIsInContent ? { creator: ALICE } : {};
  const all = { room_version: version, ...creator, ...content };
  return { type: 'm.room.create', stateKey: '', content: all, prevEvents: [], ...more };
}

events(
  "a create event without previous events, on its creator's server, in a known version, is allowed",
  () => {
    expectIn({ '1-10': 'allowed by 1.5', '11': 'allowed by 1.4', '12': 'allowed by 1.5' }, (version) =>
      hear(version, [], create(version)),
    );
  },
);

events('a create event with previous events is rejected', () => {
  expectIn({ '1-12': 'rejected by 1.1' }, (version) =>
    hear(version, [], create(version, {}, { prevEvents: ['$x'] })),
  );
});

events("a create event of another server's room is rejected, or in version 12 one that has a room id", () => {
  expectIn({ '1-11': 'rejected by 1.2', '12': 'allowed by 1.5' }, (version) =>
    hear(version, [], create(version, {}, { sender: BOB })),
  );
  expectIn({ '1-10': 'allowed by 1.5', '12': 'rejected by 1.2' }, (version) =>
    hear(version, [], create(version, {}, { json: { room_id: '!room:a.example' } })),
  );
});

events('a create event of an unknown room version is rejected; one that says none means version 1', () => {
  for (const unknown of ['13', 'toString', 11, null]) {
    expectIn({ '1-12': 'rejected by 1.3' }, (version) =>
      hear(version, [], create(version, { room_version: unknown })),
    );
  }
  const content = { creator: ALICE };
  expectIn({ '1-10': 'allowed by 1.5' }, (version) => hear(version, [], { ...create(version), content }));
});

events('a create event without creator is rejected up to version 10', () => {
  const without = (version: string) => ({ ...create(version), content: { room_version: version } });
  expectIn({ '1-10': 'rejected by 1.4', '11': 'allowed by 1.4', '12': 'allowed by 1.5' }, (version) =>
    hear(version, [], without(version)),
  );
});

events('additional creators must be an array of user ids in version 12, and are nothing before', () => {
  for (const wrong of [
    '@bob:b.example',
    {},
    null,
    [1],
    ['bob'],
    ['@bob'],
    ['@bob:b.example', '@b:b_b'],
    [`@${'b'.repeat(255)}:b`],
  ]) {
    expectIn({ '11': 'allowed by 1.4', '12': 'rejected by 1.4' }, (version) =>
      hear(version, [], create(version, { additional_creators: wrong })),
    );
  }
  for (const right of [[], ['@bob:b.example:8448', '@:[::1]', '@Böb:b.example']]) {
    expectIn({ '12': 'allowed by 1.5' }, (version) =>
      hear(version, [], create(version, { additional_creators: right })),
    );
  }
});

events(
  'nothing is allowed in a room without create event, or in version 12 with that of another room',
  () => {
    expectIn({ '1-11': 'rejected by 2.4', '12': 'rejected by 2' }, (version) =>
      hear(version, room(version).slice(1), MESSAGE),
    );
    expectIn({ '12': 'rejected by 2' }, (version) =>
      hear(version, room(version), { ...MESSAGE, roomId: '!other' }),
    );
  },
);

events("in a room that does not federate only users of the creator's server may send", () => {
  const hearIn = (federate: JsonValue, sender: string) => (version: string) =>
    hear(
      version,
      room(version, {
        create: { 'm.federate': federate },
        members: { [BOB]: 'join', '@ann:a.example': 'join' },
      }),
      { ...MESSAGE, sender },
    );
  const allowed = {
    '1-2': 'allowed by 12',
    '3-5': 'allowed by 11',
    '6-11': 'allowed by 10',
    '12': 'allowed by 11',
  };
  expectIn({ '1-11': 'rejected by 3', '12': 'rejected by 4' }, hearIn(false, BOB));
  expectIn({ '1-11': 'rejected by 3', '12': 'rejected by 4' }, hearIn('true', BOB));
  expectIn(allowed, hearIn(false, '@ann:a.example'));
  expectIn(allowed, hearIn(true, BOB));
});

events(
  "up to version 5 aliases are each server's own, whoever is joined; later they are ordinary state",
  () => {
    const hearIn = (stateKey: string | undefined) => (version: string) =>
      hear(version, room(version), {
        type: 'm.room.aliases',
        sender: BOB,
        content: {},
        ...(stateKey === undefined ? {} : { stateKey }),
      });
    expectIn({ '1-5': 'rejected by 4.1' }, hearIn(undefined));
    expectIn({ '1-5': 'rejected by 4.2' }, hearIn('a.example'));
    expectIn(
      { '1-5': 'allowed by 4.3', '6-11': 'rejected by 5', '12': 'rejected by 6' },
      hearIn('b.example'),
    );
  },
);

events('who is not joined may send nothing else', () => {
  for (const membership of ['leave', 'invite', 'ban', 'knock']) {
    expectIn({ '1-5': 'rejected by 6', '6-11': 'rejected by 5', '12': 'rejected by 6' }, (version) =>
      hear(version, room(version, { members: { [BOB]: membership } }), { ...MESSAGE, sender: BOB }),
    );
  }
});

events('a third-party invite needs the invite level, and no other', () => {
  const hearIn = (invite: number) => (version: string) =>
    hear(version, room(version, { levels: { invite, state_default: 100 }, members: { [BOB]: 'join' } }), {
      type: 'm.room.third_party_invite',
      stateKey: 'token',
      sender: BOB,
    });
  expectIn({ '1-5': 'allowed by 7.1', '6-11': 'allowed by 6.1', '12': 'allowed by 7.1' }, hearIn(0));
  expectIn({ '1-5': 'rejected by 7.1', '6-11': 'rejected by 6.1', '12': 'rejected by 7.1' }, hearIn(1));
});

events('an event needs the level of its type, else that of state or of messages', () => {
  const rejected = { '1-5': 'rejected by 8', '6-11': 'rejected by 7', '12': 'rejected by 8' };
  const allowed = {
    '1-2': 'allowed by 12',
    '3-5': 'allowed by 11',
    '6-11': 'allowed by 10',
    '12': 'allowed by 11',
  };
  const hearIn = (levels: JsonObject | undefined, draft: Draft) => (version: string) =>
    hear(
      version,
      room(version, { members: { [BOB]: 'join' }, ...(levels === undefined ? {} : { levels }) }),
      {
        sender: BOB,
        ...draft,
      },
    );
  expectIn(rejected, hearIn(undefined, TOPIC));
  expectIn(allowed, hearIn(undefined, MESSAGE));
  expectIn(rejected, hearIn({}, TOPIC));
  expectIn(allowed, hearIn({ users_default: 50 }, TOPIC));
  expectIn(allowed, hearIn({ state_default: 0 }, TOPIC));
  expectIn(rejected, hearIn({ state_default: 0, events: { 'm.room.topic': 1 } }, TOPIC));
  expectIn(allowed, hearIn({ users: { [BOB]: 1 }, events: { 'm.room.topic': 1 } }, TOPIC));
  expectIn(rejected, hearIn({ events_default: 1 }, MESSAGE));
  expectIn(allowed, hearIn({ events_default: 1, events: { 'm.room.message': 0 } }, MESSAGE));
  expectIn(allowed, hearIn({}, { type: 'toString' }));
  expectIn(rejected, hearIn({}, { type: '__proto__', stateKey: '' }));
  const verdict = hearIn({}, TOPIC)('11');
  assert.is(verdict.reason, `${BOB} may not send "m.room.topic": level 0, needed 50`);
  assert.is(verdict.remedy, `${BOB} needs level 50, has 0`);
});

events('the creator has level 100 as long as the room has no power levels, and no longer', () => {
  expectIn({ '1-2': 'allowed by 12', '3-5': 'allowed by 11', '6-11': 'allowed by 10' }, (version) =>
    hear(version, room(version), TOPIC),
  );
  expectIn({ '1-5': 'rejected by 8', '6-11': 'rejected by 7', '12': 'allowed by 11' }, (version) =>
    hear(version, room(version, { levels: {} }), TOPIC),
  );
});

events("state whose key is a user id is that user's", () => {
  const hearIn = (stateKey: string) => (version: string) =>
    hear(version, room(version), { type: 'org.example.own', stateKey });
  expectIn({ '1-5': 'rejected by 9', '6-11': 'rejected by 8', '12': 'rejected by 9' }, hearIn(CAROL));
  expectIn({ '1-5': 'rejected by 9', '6-11': 'rejected by 8', '12': 'rejected by 9' }, hearIn('@'));
  const allowed = {
    '1-2': 'allowed by 12',
    '3-5': 'allowed by 11',
    '6-11': 'allowed by 10',
    '12': 'allowed by 11',
  };
  expectIn(allowed, hearIn(ALICE));
  expectIn(allowed, hearIn(`x${CAROL}`));
});

events('in versions 1 and 2 a redaction needs the redact level, or an event of the same server', () => {
  const hearIn =
    (redacts: JsonValue, eventId: string, redact = 50) =>
    (version: string) =>
      hear(version, room(version, { levels: { redact, users: { [ALICE]: 50 } } }), {
        type: 'm.room.redaction',
        eventId,
        json: { redacts },
      });
  expectIn({ '1-2': 'allowed by 11.1' }, hearIn('$x:b.example', '$y:a.example'));
  expectIn({ '1-2': 'allowed by 11.2' }, hearIn('$x:a.example', '$y:a.example', 51));
  expectIn({ '1-2': 'allowed by 11.2' }, hearIn(7, '$y:a.example', 51));
  expectIn({ '1-2': 'rejected by 11.3' }, hearIn('$x:b.example', '$y:a.example', 51));
  expectIn({ '1-2': 'rejected by 11.3' }, hearIn('x', '$y:a.example', 51));
  expectIn({ '3-5': 'allowed by 11', '6-10': 'allowed by 10' }, hearIn('$x:b.example', '$y:a.example', 51));
});

events.run();
