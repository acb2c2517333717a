import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Harness, type TestUser, textOf } from './harness.js';

const test = suite<{ server: Harness; alice: TestUser; bob: TestUser }>('account data, tags, filters');

test.before.each(async (context) => {
  context.server = await Harness.open();
  context.alice = await context.server.user('alice');
  context.bob = await context.server.user('bob');
});
test.after.each(async ({ server }) => server.close());

const ROOM = encodeURIComponent('!room:example.org');
const own = ({ userId }: TestUser, rest: string): string => `/v3/user/${encodeURIComponent(userId)}${rest}`;

test('account data is kept by type, globally and by room, and replaced as a whole', async ({
  server,
  alice,
}) => {
  const global = own(alice, '/account_data/org.example.a');
  const ofRoom = own(alice, `/rooms/${ROOM}/account_data/org.example.a`);
  assert.equal((await server.call(alice, 'PUT', global, { at: 1, other: 2 })).body, {});
  assert.equal((await server.call(alice, 'PUT', global, { at: 'global' })).body, {});
  assert.equal((await server.call(alice, 'PUT', ofRoom, { at: 'room' })).body, {});
  assert.equal((await server.call(alice, 'GET', global)).body, { at: 'global' });
  assert.equal((await server.call(alice, 'GET', ofRoom)).body, { at: 'room' });
});

test('account data that was never provided is M_NOT_FOUND', async ({ server, alice }) => {
  for (const rest of ['/account_data/toString', `/rooms/${ROOM}/account_data/x`]) {
    const { status, body } = await server.call(alice, 'GET', own(alice, rest));
    assert.is(status, 404);
    assert.is(body.errcode, 'M_NOT_FOUND');
  }
});

test('account data is only visible to the user that set it', async ({ server, alice, bob }) => {
  await server.call(alice, 'PUT', own(alice, '/account_data/a'), { secret: true });
  for (const rest of [
    '/account_data/a',
    `/rooms/${ROOM}/account_data/a`,
    `/rooms/${ROOM}/tags`,
    '/filter/x',
  ]) {
    const { status, body } = await server.call(bob, 'GET', own(alice, rest));
    assert.is(status, 403, rest);
    assert.is(body.errcode, 'M_FORBIDDEN');
  }
  assert.is((await server.call(bob, 'PUT', own(alice, '/account_data/a'), {})).status, 403);
  assert.is((await server.call(bob, 'PUT', own(alice, `/rooms/${ROOM}/account_data/a`), {})).status, 403);
  assert.is((await server.call(bob, 'PUT', own(alice, `/rooms/${ROOM}/tags/t`), {})).status, 403);
  assert.is((await server.call(bob, 'DELETE', own(alice, `/rooms/${ROOM}/tags/t`))).status, 403);
  assert.is((await server.call(bob, 'POST', own(alice, '/filter'), {})).status, 403);
});

test('types controlled by the server are refused with 405', async ({ server, alice }) => {
  for (const type of ['m.fully_read', 'm.push_rules']) {
    for (const place of ['', `/rooms/${ROOM}`]) {
      const { status, body } = await server.call(
        alice,
        'PUT',
        own(alice, `${place}/account_data/${type}`),
        {},
      );
      assert.is(status, 405, type);
      assert.is(body.errcode, 'M_BAD_JSON');
    }
  }
});

test('m.push_rules is read as account data', async ({ server, alice }) => {
  const { body } = await server.call(alice, 'GET', own(alice, '/account_data/m.push_rules'));
  assert.equal(body, (await server.call(alice, 'GET', '/v3/pushrules/')).body);
});

test('what is no room id is M_INVALID_PARAM, internal rooms among it', async ({ server, alice }) => {
  for (const id of ['nothing', '@alice:example.org', '!users', '!user/@alice/example.org']) {
    const path = own(alice, `/rooms/${encodeURIComponent(id)}/account_data/a`);
    assert.is((await server.call(alice, 'PUT', path, {})).body.errcode, 'M_INVALID_PARAM', id);
    assert.is((await server.call(alice, 'GET', path)).body.errcode, 'M_INVALID_PARAM', id);
  }
});

test('fractions, odd keys and every plane of Unicode come back as they were put', async ({
  server,
  alice,
}) => {
  const path = own(alice, '/account_data/a');
  const content = JSON.parse(
    '{"n":[0.5,-1.25e10,1e21,12345678901234],"__proto__":{"x":1},"𝄞":"\\u0000é"}',
  ) as object;
  await server.call(alice, 'PUT', path, content);
  assert.is(JSON.stringify((await server.call(alice, 'GET', path)).body), JSON.stringify(content));
});

test('what cannot be kept is refused: too deep, too long, a type that is no name', async ({
  server,
  alice,
}) => {
  let deep: object = {};
  for (let i = 0; i < 200; i++) deep = { deep };
  const path = own(alice, '/account_data/a');
  assert.is((await server.call(alice, 'PUT', path, deep)).body.errcode, 'M_BAD_JSON');
  assert.is(
    (await server.call(alice, 'PUT', path, { long: 'x'.repeat(600_000) })).body.errcode,
    'M_TOO_LARGE',
  );
  for (const type of ['x'.repeat(256), 'a%00b']) {
    const { body } = await server.call(alice, 'PUT', own(alice, `/account_data/${type}`), {});
    assert.is(body.errcode, 'M_INVALID_PARAM');
  }
});

test('a room’s tags are added, listed with their order, and removed', async ({ server, alice }) => {
  const tags = own(alice, `/rooms/${ROOM}/tags`);
  await server.call(alice, 'PUT', `${tags}/m.favourite`, { order: 0.25 });
  await server.call(alice, 'PUT', `${tags}/u.work`, {});
  assert.equal((await server.call(alice, 'GET', tags)).body, {
    tags: { 'm.favourite': { order: 0.25 }, 'u.work': {} },
  });
  await server.call(alice, 'DELETE', `${tags}/u.work`);
  assert.is((await server.call(alice, 'DELETE', `${tags}/u.never`)).status, 200);
  assert.equal((await server.call(alice, 'GET', tags)).body, { tags: { 'm.favourite': { order: 0.25 } } });
  assert.equal((await server.call(alice, 'GET', own(alice, `/rooms/${ROOM}/account_data/m.tag`))).body, {
    tags: { 'm.favourite': { order: 0.25 } },
  });
});

test('the order of a tag is a number from 0 to 1, and a room has at most 100 tags', async ({
  server,
  alice,
}) => {
  const tags = own(alice, `/rooms/${ROOM}/tags`);
  for (const order of ['0.5', -0.1, 1.1, null]) {
    assert.is((await server.call(alice, 'PUT', `${tags}/t`, { order })).body.errcode, 'M_BAD_JSON');
  }
  for (let i = 0; i < 100; i++) assert.is((await server.call(alice, 'PUT', `${tags}/t${i}`, {})).status, 200);
  assert.is((await server.call(alice, 'PUT', `${tags}/t100`, {})).status, 400);
  assert.is((await server.call(alice, 'PUT', `${tags}/t99`, { order: 1 })).status, 200);
});

test('a filter is kept by id, and the same filter has the same id', async ({ server, alice, bob }) => {
  const filter = { room: { timeline: { limit: 5, types: ['m.room.*'] } }, event_fields: ['type'] };
  const one = await server.call(alice, 'POST', own(alice, '/filter'), filter);
  const two = await server.call(alice, 'POST', own(alice, '/filter'), filter);
  const other = await server.call(alice, 'POST', own(alice, '/filter'), {});
  assert.is(one.body.filter_id, two.body.filter_id);
  assert.is.not(one.body.filter_id, other.body.filter_id);
  assert.not.match(textOf(one.body.filter_id), /^\{/);
  const path = `/filter/${textOf(one.body.filter_id)}`;
  assert.equal((await server.call(alice, 'GET', own(alice, path))).body, filter);
  assert.is((await server.call(bob, 'GET', own(bob, path))).status, 404);
});

test('a filter of the wrong shape is refused', async ({ server, alice }) => {
  for (const filter of [
    { room: [] },
    { room: { timeline: { limit: 'many' } } },
    { room: { timeline: { types: 'm.room.message' } } },
    { room: { state: { lazy_load_members: 'yes' } } },
    { event_format: 'xml' },
    { presence: { senders: [5] } },
    { room: { timeline: { types: ['x'.repeat(70_000)] } } },
  ]) {
    const { status } = await server.call(alice, 'POST', own(alice, '/filter'), filter);
    assert.ok(status === 400 || status === 413, JSON.stringify(filter).slice(0, 80));
  }
});

test.run();
