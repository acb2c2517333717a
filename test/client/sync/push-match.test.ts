import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { defaultPushRules, type PushRule } from '../../../src/account/default-push-rules.js';
import type { UserId } from '../../../src/event/ids.js';
import type { JsonObject, JsonValue } from '../../../src/event/json.js';
import { matchPush, type PushContext } from '../../../src/client/sync/push-match.js';

const test = suite('sync: push rules');

const NOBODY = { override: [], content: [], room: [], sender: [], underride: [] };
const CONTEXT: PushContext = { memberCount: 3, displayName: 'Bob B.', mayNotify: (key) => key === 'room' };

function notifies(condition: JsonObject, event: JsonObject, context: Partial<PushContext> = {}): boolean {
  const rule: PushRule = {
    rule_id: 'r',
    default: false,
    enabled: true,
    actions: ['notify'],
    conditions: [condition],
  };
  return matchPush({ ...NOBODY, override: [rule] }, event, { ...CONTEXT, ...context }).isNotifying;
}

function says(body: JsonValue): JsonObject {
  return { type: 'm.room.message', sender: '@a:b', room_id: '!r:b', content: { body } };
}

test('a pattern matches a whole value, whatever the case; in a body, from word boundary to word boundary', () => {
  const topic = (pattern: string, value: JsonValue) =>
    notifies({ kind: 'event_match', key: 'content.topic', pattern }, { content: { topic: value } });
  assert.equal(
    [
      topic('lunc?*', 'Lunch plans'),
      topic('lunc?*', 'LUNCH'),
      topic('lunc?*', ' lunch'),
      topic('lunc?*', 'lunc'),
    ],
    [true, true, false, false],
  );
  assert.equal([topic('*', null), topic('*', '')], [false, true]);
  const body = (pattern: string, text: string) =>
    notifies({ kind: 'event_match', key: 'content.body', pattern }, says(text));
  assert.equal(
    [
      body('ex*ple', 'An example event.'),
      body('ex*ple', 'exple'),
      body('ex*ple', 'An exciting triple-whammy'),
    ],
    [true, true, true],
  );
  assert.equal(
    [body('cake', 'cakes'), body('cake', 'a cake!'), body('cake', 'pancake')],
    [false, true, false],
  );
});

test('properties are compared exactly, at paths with escaped dots', () => {
  const event = { content: { 'm.federate': true, list: ['a', 7], n: 1 } };
  const is = (key: string, value: JsonValue) => notifies({ kind: 'event_property_is', key, value }, event);
  assert.equal(
    [is('content.m\\.federate', true), is('content.m.federate', true), is('content.n', '1')],
    [true, false, false],
  );
  const contains = (key: string, value: JsonValue) =>
    notifies({ kind: 'event_property_contains', key, value }, event);
  assert.equal(
    [contains('content.list', 7), contains('content.list', '7'), contains('content.n', 1)],
    [true, false, false],
  );
});

test('conditions that are unknown or malformed match nothing', () => {
  for (const condition of [
    {},
    { kind: 'device' },
    { kind: 'toString' },
    { kind: 'room_member_count', is: 'few' },
  ]) {
    assert.not.ok(notifies(condition, says('hello')));
  }
});

test('member counts, display names and notification levels are asked of the room', () => {
  const count = (is: string) => notifies({ kind: 'room_member_count', is }, says('hello'));
  assert.equal(['3', '==3', '<3', '>2', '<=3', '>=4'].map(count), [true, true, false, true, true, false]);
  const name = (text: string) => notifies({ kind: 'contains_display_name' }, says(text));
  assert.equal([name('hey bob b.!'), name('hey bobb'), name('bob')], [true, false, false]);
  const may = (key: string) => notifies({ kind: 'sender_notification_permission', key }, says('@room'));
  assert.equal([may('room'), may('other')], [true, false]);
});

test('the predefined rules notify of messages, highlight mentions, and pass over notices, edits and reactions', () => {
  const rules = defaultPushRules('@me:b' as UserId);
  const outcome = (event: JsonObject) => {
    const { isNotifying, isHighlight } = matchPush(rules, event, CONTEXT);
    return [isNotifying, isHighlight];
  };
  const message = (content: JsonObject) => ({
    ...says(''),
    content: { msgtype: 'm.text', body: 'x', ...content },
  });
  assert.equal(outcome(message({})), [true, false]);
  assert.equal(outcome(message({ 'm.mentions': { user_ids: ['@me:b'] } })), [true, true]);
  assert.equal(outcome(message({ 'm.mentions': { room: true } })), [true, true]);
  assert.equal(outcome(message({ msgtype: 'm.notice' })), [false, false]);
  assert.equal(outcome(message({ 'm.relates_to': { rel_type: 'm.replace' } })), [false, false]);
  assert.equal(outcome({ type: 'm.reaction', content: {} }), [false, false]);
});

test.run();
