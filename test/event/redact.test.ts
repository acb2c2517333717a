import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { JsonObject } from '../../src/event/json.js';
import { redact } from '../../src/event/redact.js';
import { ROOM_VERSIONS } from '../../src/event/rules.js';
import { parseJson } from '../../src/event/json.js';
import { utf8 } from '../../src/lib/bytes.js';
import { rulesFor } from './samples.js';

const test = suite('redaction');

/** Versions from the first to the last given. */
function versions(from: number, to: number): string[] {
  return ROOM_VERSIONS.map((rules) => rules.version).filter(
    (version) => Number(version) >= from && Number(version) <= to,
  );
}

function redactedContent(type: string, content: JsonObject, version: string): JsonObject[string] | undefined {
  return redact({ type, content }, rulesFor(version))['content'];
}

/** Says which keys of the content survive in which versions, and checks all twelve. */
function expectKept(
  type: string,
  content: JsonObject,
  kept: ReadonlyArray<readonly [from: number, to: number, keys: readonly string[]]>,
): void {
  let seen = 0;
  for (const [from, to, keys] of kept) {
    for (const version of versions(from, to)) {
      const expected = Object.fromEntries(Object.entries(content).filter(([name]) => keys.includes(name)));
      assert.equal(redactedContent(type, content, version), expected, `${type} in version ${version}`);
      seen++;
    }
  }
  assert.is(seen, ROOM_VERSIONS.length);
}

test('top-level keys survive as each version lists them', () => {
  const always = [
    'event_id',
    'type',
    'room_id',
    'sender',
    'state_key',
    'content',
    'hashes',
    'signatures',
    'depth',
    'prev_events',
    'auth_events',
    'origin_server_ts',
  ];
  const once = ['origin', 'membership', 'prev_state'];
  const never = ['unsigned', 'redacts', 'age_ts', 'extra', '__proto__', 'toString'];
  const json = parseJson(
    utf8(
      `{${[...always, ...once, ...never].map((name) => `"${name}":${name === 'content' ? '{}' : '1'}`).join()}}`,
    ),
  ) as JsonObject;
  for (const { version } of ROOM_VERSIONS) {
    const expected = Number(version) <= 10 ? [...always, ...once] : always;
    assert.equal(Object.keys(redact(json, rulesFor(version))).sort(), [...expected].sort(), version);
  }
});

test('members keep their membership, from 9 the authorising user', () => {
  const content = {
    membership: 'join',
    displayname: 'x',
    join_authorised_via_users_server: '@a:b',
    reason: 'y',
  };
  expectKept('m.room.member', content, [
    [1, 8, ['membership']],
    [9, 12, ['membership', 'join_authorised_via_users_server']],
  ]);
});

test('third-party invites keep signed, and only that, from 11', () => {
  const signed = { mxid: '@a:b', token: 't', signatures: {} };
  const content = { membership: 'invite', third_party_invite: { display_name: 'x', signed } };
  for (const version of versions(1, 10))
    assert.equal(redactedContent('m.room.member', content, version), { membership: 'invite' });
  for (const version of versions(11, 12)) {
    assert.equal(redactedContent('m.room.member', content, version), {
      membership: 'invite',
      third_party_invite: { signed },
    });
    assert.equal(redactedContent('m.room.member', { third_party_invite: { display_name: 'x' } }, version), {
      third_party_invite: {},
    });
    assert.equal(redactedContent('m.room.member', { third_party_invite: 'x' }, version), {});
  }
});

test('create events keep their creator, from 11 all', () => {
  const content = {
    creator: '@a:b',
    room_version: '1',
    'm.federate': false,
    additional_creators: ['@b:c'],
    predecessor: {},
  };
  expectKept('m.room.create', content, [
    [1, 10, ['creator']],
    [11, 12, Object.keys(content)],
  ]);
});

test('join rules keep the rule, from 8 allow', () => {
  expectKept('m.room.join_rules', { join_rule: 'restricted', allow: [], extra: 1 }, [
    [1, 7, ['join_rule']],
    [8, 12, ['join_rule', 'allow']],
  ]);
});

test('power levels keep their levels, from 11 invite, never notifications', () => {
  const levels = [
    'ban',
    'events',
    'events_default',
    'kick',
    'redact',
    'state_default',
    'users',
    'users_default',
  ];
  const content = Object.fromEntries(
    [...levels, 'invite', 'notifications', 'extra'].map((name) => [name, 1]),
  );
  expectKept('m.room.power_levels', content, [
    [1, 10, levels],
    [11, 12, [...levels, 'invite']],
  ]);
});

test('aliases are kept until 5, redacts in content from 11, history visibility always', () => {
  expectKept('m.room.aliases', { aliases: ['#a:b'], extra: 1 }, [
    [1, 5, ['aliases']],
    [6, 12, []],
  ]);
  expectKept('m.room.redaction', { redacts: '$x', reason: 'y' }, [
    [1, 10, []],
    [11, 12, ['redacts']],
  ]);
  expectKept('m.room.history_visibility', { history_visibility: 'shared', extra: 1 }, [
    [1, 12, ['history_visibility']],
  ]);
});

test('every other event loses its content, also of a type that is a name of JavaScript', () => {
  for (const type of ['m.room.message', 'm.room.topic', 'toString', '__proto__', '']) {
    expectKept(type, { body: 'x', membership: 'join', creator: 'y' }, [[1, 12, []]]);
  }
});

test('an event redacted twice is redacted once, and the original is untouched', () => {
  const json = {
    type: 'm.room.member',
    sender: '@a:b',
    content: { membership: 'join', displayname: 'x' },
    unsigned: {},
  };
  const before = JSON.stringify(json);
  for (const rules of ROOM_VERSIONS) {
    const once = redact(json, rules);
    assert.equal(redact(once, rules), once);
  }
  assert.is(JSON.stringify(json), before);
});

test.run();
