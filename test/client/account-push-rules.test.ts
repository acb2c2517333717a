import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Harness, itemsOf, type Json, type TestUser, textOf } from './harness.js';

const test = suite<{ server: Harness; alice: TestUser }>('push rules');

test.before.each(async (context) => {
  context.server = await Harness.open();
  context.alice = await context.server.user('alice');
});
test.after.each(async ({ server }) => server.close());

const PATH = '/v3/pushrules/global';
const ids = (rules: Json | undefined): string[] => itemsOf(rules).map(({ rule_id }) => textOf(rule_id));

test('everybody has the predefined rules, in their order, with their own id filled in', async ({
  server,
  alice,
}) => {
  const { body } = await server.call(alice, 'GET', '/v3/pushrules/');
  assert.equal(ids(body.global?.override), [
    '.m.rule.master',
    '.m.rule.suppress_notices',
    '.m.rule.invite_for_me',
    '.m.rule.member_event',
    '.m.rule.is_user_mention',
    '.m.rule.is_room_mention',
    '.m.rule.tombstone',
    '.m.rule.reaction',
    '.m.rule.room.server_acl',
    '.m.rule.suppress_edits',
  ]);
  assert.equal(ids(body.global?.underride), [
    '.m.rule.call',
    '.m.rule.encrypted_room_one_to_one',
    '.m.rule.room_one_to_one',
    '.m.rule.message',
    '.m.rule.encrypted',
  ]);
  for (const kind of ['content', 'room', 'sender']) assert.equal(body.global?.[kind], []);
  const mention = await server.call(alice, 'GET', `${PATH}/override/.m.rule.is_user_mention`);
  assert.equal(mention.body, {
    rule_id: '.m.rule.is_user_mention',
    default: true,
    enabled: true,
    conditions: [
      { kind: 'event_property_contains', key: 'content.m\\.mentions.user_ids', value: alice.userId },
    ],
    actions: ['notify', { set_tweak: 'sound', value: 'default' }, { set_tweak: 'highlight' }],
  });
  const master = await server.call(alice, 'GET', `${PATH}/override/.m.rule.master`);
  assert.is(master.body.enabled, false);
  assert.equal((await server.call(alice, 'GET', PATH)).body, body.global);
});

test('a new rule is enabled and the most important of the user’s own, below the master rule', async ({
  server,
  alice,
}) => {
  const rule = { conditions: [{ kind: 'event_match', key: 'type', pattern: 'x' }], actions: ['notify'] };
  for (const id of ['one', 'two']) {
    assert.equal((await server.call(alice, 'PUT', `${PATH}/override/${id}`, rule)).body, {});
  }
  const { body } = await server.call(alice, 'GET', PATH);
  assert.equal(ids(body.override).slice(0, 4), ['.m.rule.master', 'two', 'one', '.m.rule.suppress_notices']);
  assert.equal((await server.call(alice, 'GET', `${PATH}/override/one`)).body, {
    rule_id: 'one',
    default: false,
    enabled: true,
    ...rule,
  });
});

test('before and after place a rule next to another of the user’s', async ({ server, alice }) => {
  const put = (id: string, query = '') =>
    server.call(alice, 'PUT', `${PATH}/content/${id}${query}`, { pattern: id, actions: [] });
  await put('a');
  await put('b', '?after=a');
  await put('c', '?before=b');
  assert.equal(ids((await server.call(alice, 'GET', PATH)).body.content), ['a', 'c', 'b']);
  await put('a', '?after=b');
  assert.equal(ids((await server.call(alice, 'GET', PATH)).body.content), ['c', 'b', 'a']);
  await put('d', '?before=a&after=c');
  assert.equal(ids((await server.call(alice, 'GET', PATH)).body.content), ['c', 'b', 'd', 'a']);
  assert.is((await put('e', '?before=nothing')).body.errcode, 'M_UNKNOWN');
  const override = await server.call(alice, 'PUT', `${PATH}/override/x?after=.m.rule.master`, {
    actions: [],
  });
  assert.is(override.status, 400, 'not relative to a predefined rule');
});

test('a rule that is there is updated, stays where it is and as enabled as it was', async ({
  server,
  alice,
}) => {
  const put = (id: string, actions: unknown) =>
    server.call(alice, 'PUT', `${PATH}/sender/${id}`, { actions });
  await put('@a:x.org', ['notify']);
  await put('@b:x.org', ['notify']);
  await server.call(alice, 'PUT', `${PATH}/sender/@a:x.org/enabled`, { enabled: false });
  await put('@a:x.org', ['dont_notify', 'coalesce']);
  const { body } = await server.call(alice, 'GET', PATH);
  assert.equal(ids(body.sender), ['@b:x.org', '@a:x.org']);
  assert.equal((await server.call(alice, 'GET', `${PATH}/sender/@a:x.org`)).body, {
    rule_id: '@a:x.org',
    default: false,
    enabled: false,
    actions: [],
  });
});

test('any rule can be disabled and given other actions, the predefined ones too', async ({
  server,
  alice,
}) => {
  const rule = `${PATH}/underride/.m.rule.message`;
  assert.equal((await server.call(alice, 'GET', `${rule}/enabled`)).body, { enabled: true });
  await server.call(alice, 'PUT', `${rule}/enabled`, { enabled: false });
  await server.call(alice, 'PUT', `${rule}/actions`, {
    actions: ['notify', { set_tweak: 'sound', value: 'x' }],
  });
  assert.equal((await server.call(alice, 'GET', `${rule}/enabled`)).body, { enabled: false });
  assert.equal((await server.call(alice, 'GET', `${rule}/actions`)).body, {
    actions: ['notify', { set_tweak: 'sound', value: 'x' }],
  });
  const { body } = await server.call(alice, 'GET', rule);
  assert.equal([body.enabled, body.default], [false, true]);
  const bob = await server.user('bob');
  assert.equal(
    (await server.call(bob, 'GET', `${rule}/enabled`)).body,
    { enabled: true },
    'for oneself only',
  );
});

test('own rules can be deleted, predefined ones not', async ({ server, alice }) => {
  await server.call(alice, 'PUT', `${PATH}/room/!r:x.org`, { actions: [] });
  assert.equal((await server.call(alice, 'DELETE', `${PATH}/room/!r:x.org`)).body, {});
  assert.is((await server.call(alice, 'DELETE', `${PATH}/room/!r:x.org`)).status, 404);
  assert.is((await server.call(alice, 'DELETE', `${PATH}/override/.m.rule.master`)).status, 400);
});

test('rules that are not there are M_NOT_FOUND by every method', async ({ server, alice }) => {
  for (const rule of [
    'override/nothing',
    'nokind/.m.rule.master',
    'override/.m.rule.message',
    'room/__proto__',
  ]) {
    for (const rest of ['', '/enabled', '/actions']) {
      assert.is((await server.call(alice, 'GET', `${PATH}/${rule}${rest}`)).body.errcode, 'M_NOT_FOUND');
    }
    const enabled = await server.call(alice, 'PUT', `${PATH}/${rule}/enabled`, { enabled: true });
    assert.is(enabled.status, 404);
    const actions = await server.call(alice, 'PUT', `${PATH}/${rule}/actions`, { actions: [] });
    assert.is(actions.status, 404);
  }
});

test('malformed rules are refused', async ({ server, alice }) => {
  const put = async (rule: string, body: object) =>
    (await server.call(alice, 'PUT', `${PATH}/${rule}`, body)).status;
  assert.is(await put('override/.mine', { actions: [] }), 400, 'reserved for predefined rules');
  assert.is(await put('override/a%5Cb', { actions: [] }), 400);
  assert.is(await put('override/a%2Fb', { actions: [] }), 400);
  assert.is(await put('override/a', {}), 400);
  assert.is(await put('override/a', { actions: 'notify' }), 400);
  assert.is(await put('override/a', { actions: ['sing'] }), 400);
  assert.is(await put('override/a', { actions: [{ tweak: 'sound' }] }), 400);
  assert.is(await put('override/a', { actions: [], conditions: [{ key: 'type' }] }), 400);
  assert.is(await put('content/a', { actions: [] }), 400, 'a content rule needs a pattern');
  assert.is(await put('override/a/enabled', { enabled: 'yes' }), 400);
  assert.is(await put('override/.m.rule.master/actions', {}), 400);
});

test('rules are made once, and anew when the user changes them; who changed none shares no change', async ({
  server,
  alice,
}) => {
  const bob = await server.user('bob');
  const { pushRules } = server.home.accounts;
  const [before, other] = [pushRules.ruleset(alice.userId), pushRules.ruleset(bob.userId)];
  assert.is(pushRules.ruleset(alice.userId), before);
  const path = `${PATH}/override/.m.rule.tombstone/enabled`;
  await server.call(alice, 'PUT', path, { enabled: false });
  const after = pushRules.ruleset(alice.userId);
  const isOn = ({ override }: typeof after): boolean | undefined =>
    override.find(({ rule_id }) => rule_id === '.m.rule.tombstone')?.enabled;
  assert.equal([isOn(after), isOn(before), isOn(pushRules.ruleset(bob.userId))], [false, true, true]);
  assert.is(pushRules.ruleset(alice.userId), after);
  assert.is(pushRules.ruleset(bob.userId), other);
});

test.run();
