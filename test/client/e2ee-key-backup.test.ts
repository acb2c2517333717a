import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ask, refused } from './e2ee-support.js';
import { Harness, type Json, type TestUser, textOf } from './harness.js';

const test = suite<{ server: Harness; alice: TestUser }>('key backup');

test.before.each(async (context) => {
  context.server = await Harness.open();
  context.alice = await context.server.user('alice');
});
test.after.each(async ({ server }) => server.close());

const VERSION = '/v3/room_keys/version';
const ALGORITHM = 'm.megolm_backup.v1.curve25519-aes-sha2';
const NOT_FOUND = [404, 'M_NOT_FOUND'] as const;
const ROOM = '!room:example.org';

const key = (is_verified: boolean, first_message_index: number, forwarded_count: number, name = 'key') => ({
  is_verified,
  first_message_index,
  forwarded_count,
  session_data: { name },
});
const create = async (
  server: Harness,
  who: TestUser,
  auth_data: object = { public_key: 'a' },
): Promise<string> =>
  textOf((await ask(server, who, 'POST', VERSION, { algorithm: ALGORITHM, auth_data }))['version']);
const path = (version: string, ...parts: readonly string[]): string =>
  `/v3/room_keys/keys${parts.map((part) => `/${encodeURIComponent(part)}`).join('')}?version=${version}`;
const nameOf = (found: Json): string => textOf(found['session_data']?.['name']);

test('a backup is made, read, changed and deleted; its algorithm and version stay', async ({
  server,
  alice,
}) => {
  await refused(server, NOT_FOUND, alice, 'GET', VERSION);
  const version = await create(server, alice);
  const found = await ask(server, alice, 'GET', VERSION);
  const expected = { algorithm: ALGORITHM, auth_data: { public_key: 'a' }, count: 0, version };
  assert.equal(found, { ...expected, etag: found['etag'] });
  assert.type(found['etag'], 'string');
  assert.equal(await ask(server, alice, 'GET', `${VERSION}/${version}`), found);
  const auth_data = { public_key: 'a', signatures: {} };
  await ask(server, alice, 'PUT', `${VERSION}/${version}`, { algorithm: ALGORITHM, auth_data, version });
  assert.equal((await ask(server, alice, 'GET', VERSION))['auth_data'], auth_data);
  const invalid = [400, 'M_INVALID_PARAM'] as const;
  const one = `${VERSION}/${version}`;
  await refused(server, invalid, alice, 'PUT', one, { algorithm: 'other', auth_data });
  await refused(server, invalid, alice, 'PUT', one, { algorithm: ALGORITHM, auth_data, version: '9' });
  await ask(server, alice, 'DELETE', one);
  await ask(server, alice, 'DELETE', one);
  await refused(server, NOT_FOUND, alice, 'GET', one);
  await refused(server, NOT_FOUND, alice, 'PUT', one, { algorithm: ALGORITHM, auth_data });
  await refused(server, NOT_FOUND, alice, 'DELETE', `${VERSION}/77`);
});

test('the newest backup is the current one; no version is given out twice', async ({ server, alice }) => {
  const versions = [await create(server, alice), await create(server, alice), await create(server, alice)];
  assert.is(new Set(versions).size, 3);
  assert.is(textOf((await ask(server, alice, 'GET', VERSION))['version']), versions[2]);
  await ask(server, alice, 'DELETE', `${VERSION}/${versions[2]}`);
  assert.is(textOf((await ask(server, alice, 'GET', VERSION))['version']), versions[1]);
  assert.not.ok(versions.includes(await create(server, alice)));
});

test('keys are stored and read one by one, by room and all together', async ({ server, alice }) => {
  const version = await create(server, alice);
  const other = '!other:example.org';
  const first = await ask(server, alice, 'PUT', path(version, ROOM, 'a'), key(true, 0, 0, 'a'));
  assert.is(Number(first['count']), 1);
  const sessions = { b: key(false, 1, 0, 'b'), c: key(false, 0, 1, 'c') };
  const second = await ask(server, alice, 'PUT', path(version, ROOM), { sessions });
  const rooms = {
    [ROOM]: { sessions: { d: key(true, 5, 0, 'd') } },
    [other]: { sessions: { a: key(true, 0, 0) } },
  };
  const third = await ask(server, alice, 'PUT', path(version), { rooms });
  assert.equal([Number(second['count']), Number(third['count'])], [3, 5]);
  assert.is(new Set([first, second, third].map(({ etag }) => textOf(etag))).size, 3);
  assert.is(textOf((await ask(server, alice, 'GET', VERSION))['etag']), textOf(third['etag']));
  const ofRoom = { a: key(true, 0, 0, 'a'), ...sessions, d: key(true, 5, 0, 'd') };
  assert.equal(await ask(server, alice, 'GET', path(version, ROOM, 'b')), sessions.b);
  assert.equal(await ask(server, alice, 'GET', path(version, ROOM)), { sessions: ofRoom });
  assert.equal(await ask(server, alice, 'GET', path(version)), {
    rooms: { [ROOM]: { sessions: ofRoom }, [other]: { sessions: { a: key(true, 0, 0) } } },
  });
  assert.equal(await ask(server, alice, 'GET', path(version, '!none:example.org')), {
    sessions: {},
  });
  await refused(server, NOT_FOUND, alice, 'GET', path(version, ROOM, 'z'));
});

test('the same keys have the same etag', async ({ server, alice }) => {
  const version = await create(server, alice);
  const put = async () =>
    textOf((await ask(server, alice, 'PUT', path(version, ROOM, 'a'), key(true, 0, 0)))['etag']);
  const etag = await put();
  assert.is(await put(), etag);
});

test('of two keys the verified one stays, then the earlier, then the less forwarded', async (context) => {
  const { server, alice } = context;
  const cases: (readonly [before: object, after: object, stays: string])[] = [
    [key(false, 0, 0, 'old'), key(true, 9, 9, 'new'), 'new'],
    [key(true, 9, 9, 'old'), key(false, 0, 0, 'new'), 'old'],
    [key(true, 5, 0, 'old'), key(true, 4, 9, 'new'), 'new'],
    [key(true, 4, 9, 'old'), key(true, 5, 0, 'new'), 'old'],
    [key(false, 4, 2, 'old'), key(false, 4, 1, 'new'), 'new'],
    [key(false, 4, 1, 'old'), key(false, 4, 2, 'new'), 'old'],
    [key(false, 4, 1, 'old'), key(false, 4, 1, 'new'), 'old'],
  ];
  const version = await create(server, alice);
  for (const [i, [before, after, stays]] of cases.entries()) {
    await ask(server, alice, 'PUT', path(version, ROOM, `s${i}`), before);
    await ask(server, alice, 'PUT', path(version, ROOM), { sessions: { [`s${i}`]: after } });
    assert.is(nameOf(await ask(server, alice, 'GET', path(version, ROOM, `s${i}`))), stays, `case ${i}`);
  }
});

test('of racing uploads of one session the best key stays', async ({ server, alice }) => {
  const version = await create(server, alice);
  const indexes = [7, 3, 9, 1, 5];
  await Promise.all(
    indexes.map((i) => ask(server, alice, 'PUT', path(version, ROOM, 'a'), key(true, i, 0, `from ${i}`))),
  );
  assert.is(nameOf(await ask(server, alice, 'GET', path(version, ROOM, 'a'))), 'from 1');
});

test('keys go only into the current backup, and into one that is there', async ({ server, alice }) => {
  const body = key(true, 0, 0);
  await refused(server, NOT_FOUND, alice, 'PUT', path('1', ROOM, 'a'), body);
  const old = await create(server, alice);
  await ask(server, alice, 'PUT', path(old, ROOM, 'a'), body);
  const current = await create(server, alice);
  const wrong = [403, 'M_WRONG_ROOM_KEYS_VERSION'] as const;
  for (const [parts, keys] of [
    [[ROOM, 'a'], body],
    [[ROOM], { sessions: { a: body } }],
    [[], { rooms: { [ROOM]: { sessions: { a: body } } } }],
  ] as const) {
    const refusal = await refused(server, wrong, alice, 'PUT', path(old, ...parts), keys);
    assert.is(textOf(refusal['current_version']), current);
    await refused(server, NOT_FOUND, alice, 'PUT', path('99', ...parts), keys);
    await refused(server, NOT_FOUND, alice, 'GET', path('99', ...parts));
    await refused(server, NOT_FOUND, alice, 'DELETE', path('99', ...parts));
    await refused(server, [400, 'M_MISSING_PARAM'], alice, 'GET', path(old, ...parts).split('?')[0] ?? '');
  }
  assert.is(nameOf(await ask(server, alice, 'GET', path(old, ROOM, 'a'))), 'key', 'an old one can be read');
});

test('keys are deleted one by one, by room and all together, and with their backup', async ({
  server,
  alice,
}) => {
  const version = await create(server, alice);
  const sessions = Object.fromEntries(['a', 'b', 'c'].map((name) => [name, key(true, 0, 0)]));
  const rooms = { [ROOM]: { sessions }, '!x:example.org': { sessions }, '!y:example.org': { sessions } };
  await ask(server, alice, 'PUT', path(version), { rooms });
  const counts = [];
  for (const parts of [[ROOM, 'a'], [ROOM, 'a'], [ROOM], []]) {
    counts.push(Number((await ask(server, alice, 'DELETE', path(version, ...parts)))['count']));
  }
  assert.equal(counts, [8, 8, 6, 0]);
  await ask(server, alice, 'PUT', path(version), { rooms });
  await ask(server, alice, 'DELETE', `${VERSION}/${version}`);
  await refused(server, NOT_FOUND, alice, 'GET', path(version));
  const kept = [...server.home.engine.currentState(`!backup/${version}/@alice/example.org`).entries()];
  assert.is(kept.length, 0);
});

test('nobody reads another’s backup', async ({ server, alice }) => {
  const version = await create(server, alice);
  await ask(server, alice, 'PUT', path(version, ROOM, 'a'), key(true, 0, 0));
  const bob = await server.user('bob');
  await refused(server, NOT_FOUND, bob, 'GET', path(version, ROOM, 'a'));
  assert.is(await create(server, bob), version, 'versions are per user');
  assert.equal(await ask(server, bob, 'GET', path(version)), { rooms: {} });
});

test('many keys at once are all kept', async ({ server, alice }) => {
  const version = await create(server, alice);
  const sessions = Object.fromEntries(
    Array.from({ length: 1_200 }, (_, i) => [`s${i}`, key(true, i, 0, `n${i}`)]),
  );
  const answer = await ask(server, alice, 'PUT', path(version, ROOM), { sessions });
  assert.is(Number(answer['count']), 1_200);
  assert.equal(await ask(server, alice, 'GET', path(version, ROOM)), { sessions });
  await server.home.accounts.deactivate(alice.userId, { erase: false });
  const kept = [...server.home.engine.currentState(`!backup/${version}/@alice/example.org`).entries()];
  assert.is(kept.length, 0, 'they go with their user');
});

test('malformed keys and backups are refused, and nothing of them is kept', async ({ server, alice }) => {
  const version = await create(server, alice);
  const good = key(true, 0, 0);
  const bad = [400, 'M_BAD_JSON'] as const;
  for (const body of [
    { ...good, is_verified: 1 },
    { ...good, first_message_index: -1 },
    { ...good, first_message_index: 0.5 },
    { ...good, forwarded_count: '1' },
    { ...good, session_data: [] },
    { ...good, session_data: undefined },
  ]) {
    await refused(server, bad, alice, 'PUT', path(version, ROOM, 'a'), body);
    await refused(server, bad, alice, 'PUT', path(version, ROOM), { sessions: { good, bad: body } });
  }
  const large = { ...good, session_data: { a: 'x'.repeat(70_000) } };
  await refused(server, [413, 'M_TOO_LARGE'], alice, 'PUT', path(version, ROOM, 'a'), large);
  await refused(server, [400, 'M_INVALID_PARAM'], alice, 'PUT', path(version, 'stateroom.user', 'a'), good);
  await refused(server, bad, alice, 'PUT', path(version), { rooms: { [ROOM]: 1 } });
  await refused(server, [400, 'M_MISSING_PARAM'], alice, 'PUT', path(version), { rooms: { [ROOM]: {} } });
  await refused(server, [400, 'M_MISSING_PARAM'], alice, 'POST', VERSION, { algorithm: ALGORITHM });
  await refused(server, bad, alice, 'POST', VERSION, { algorithm: 7, auth_data: {} });
  assert.equal(await ask(server, alice, 'GET', path(version)), { rooms: {} });
});

test.run();
