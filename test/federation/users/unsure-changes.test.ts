import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openEngine } from '../../../src/engine/engine.js';
import type { ServerName, UserId } from '../../../src/event/ids.js';
import { UnsureChanges } from '../../../src/federation/users/unsure-changes.js';

const test = suite('federation unsure changes');

const user = (name: string, server = 'beta.test'): UserId => `@${name}:${server}` as UserId;

test('of too many users of a server, or in all, only the server is noted', async () => {
  const engine = await openEngine();
  const limits = { unsureMax: 3, unsureOfServerMax: 2 };
  const unsure = new UnsureChanges(engine, limits);
  const note = async (userId: UserId): Promise<number> => {
    const records = unsure.records(userId);
    await engine.internal.write(records);
    return records.length;
  };
  assert.is(await note(user('a')), 1);
  assert.is(await note(user('a')), 0, 'noted already');
  assert.is(await note(user('b')), 1);
  assert.is(await note(user('c')), 1);
  for (const name of ['d', 'e', 'f']) assert.is(await note(user(name)), 0, 'all of them count');
  assert.is(await note(user('a', 'gamma.test')), 1);
  assert.is(await note(user('a', 'delta.test')), 1);
  const expected = [
    [user('a'), user('a', 'gamma.test'), user('b')],
    ['beta.test', 'delta.test'],
  ];
  assert.equal([unsure.users().sort(), unsure.servers().sort()], expected);
  const again = new UnsureChanges(engine, limits);
  assert.equal([again.users().sort(), again.servers().sort()], expected, 'as it is on disk');
  await engine.internal.write([
    again.removalRecord(user('a')),
    again.removalRecord(user('b')),
    again.removalRecord('beta.test' as ServerName),
  ]);
  assert.not(again.has(user('a')));
  assert.is(again.records(user('c')).length, 1, 'there is room for them again');
  await engine.close();
});

test.run();
