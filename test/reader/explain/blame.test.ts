// Blame on real rooms: the puzzles that their READMEs tell of, explained.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { MergeJson } from '../../../src/reader/explain/merge.js';
import { only, openRoom } from './rooms.js';

const test = suite('reader/explain/blame');

function merged(resolution: MergeJson | null): MergeJson {
  if (resolution === null) throw new Error('no resolution chose it');
  return resolution;
}

test('in a room with harmless forks every entry is there, and nothing is contested', async () => {
  const { engine, room } = await openRoom('small-v11');
  const { room_id: roomId, current_state_a: current } = room.expected;
  const entries = await engine.blame(roomId);
  assert.equal(
    entries.map(({ type, state_key, event_id }) => [type, state_key, event_id]),
    current,
  );
  for (const entry of entries) {
    assert.is(entry.resolution, null, entry.type);
    assert.equal(entry.since, entry.set);
    assert.is(entry.since?.event_id, entry.event_id);
    assert.match(entry.explanation.join(' '), `Set by ${entry.sender}`);
  }
  await engine.close();
});

test('a later public join rule lost to an older restricted one: who sent it had the greater level, so it went first', async () => {
  const { engine, room } = await openRoom('reset-v10');
  const restricted = '$bvW938AVkZ2VhV6f7JpGBVfNuumQittAAIB9zemuTwY';
  const isPublic = '$ewMDhvRCdiSwurRa-yrx9S3TWjL_g0FP_4r-5881HAw';
  const entry = only(await engine.blame(room.expected.room_id, 'm.room.join_rules', ''));
  assert.is(entry.event_id, restricted);
  assert.is(entry.sender, '@adam:alpha.test:7101');
  assert.is(entry.says, 'restricted');
  const { merge, winner, over, steps, algorithm, explanation } = merged(entry.resolution);
  assert.is(algorithm, 'v2');
  assert.is(merge, '$737sLpvZOyxXLTgj__izgpABryblzEOlF-L_T4yRdTE');
  assert.is(entry.since?.event_id, merge);
  assert.is(winner, restricted);
  assert.equal(over, [isPublic]);
  assert.equal(
    steps.map(({ eventId, allowed, order }) => [eventId, allowed, order.senderLevel]),
    [
      [isPublic, true, 100],
      [restricted, true, 75],
    ],
  );
  const loser = entry.beat.find(({ event_id }) => event_id === isPublic);
  assert.is(loser?.says, 'public');
  assert.is(loser?.sender, '@alice:alpha.test:7101');
  assert.is(loser?.how, 'overtaken');
  assert.is(loser?.rule, 'power order');
  assert.match(loser?.reason ?? '', 'greater level goes first: 100 before 75');
  assert.match(explanation.join('\n'), 'the winner is the older one');
  await engine.close();
});

for (const { name, older, newer, merge } of [
  {
    name: 'forks-v10' as const,
    older: '$zO-RLY7H8ozxhfMvw2TNEBqu6pURGc35trgbYPOHdZQ',
    newer: '$MHwDHsPi7ka71GK_V7xbXvvFDYOqK8xtwvDOc7PXH78',
    merge: '$tAY3vw2LTpqhnUtC6uy0mCxvBuWRnYMIZl78bWH1B14',
  },
  {
    name: 'forks-v12' as const,
    older: '$WexdbL7cNmqZbHZcj3hjHknz9baIiOoHjIpYl7J0ELY',
    newer: '$MM1QGlxvHxkdktbvmDlyP0KmZ-wUsULrpIshkcom7fE',
    merge: '$STdRh2BZ6tYvcNYL6nRJ980NXK7uENIwjkXtkt2rrn4',
  },
]) {
  test(`${name}: the older name wins, because the power levels that it rests on head the mainline`, async () => {
    const { engine, room } = await openRoom(name);
    const entry = only(await engine.blame(room.expected.room_id, 'm.room.name', ''));
    assert.is(entry.event_id, older);
    assert.is(entry.says, 'without adam');
    const resolution = merged(entry.resolution);
    assert.is(resolution.merge, merge);
    assert.is(resolution.winner, older);
    assert.equal(resolution.over, [newer]);
    const [beaten] = entry.beat;
    assert.is(beaten?.event_id, newer);
    assert.is(beaten?.merge, merge);
    assert.is(beaten?.how, 'overtaken');
    assert.is(beaten?.rule, 'mainline order');
    assert.match(beaten?.reason ?? '', 'older power levels goes first: position 1 before position 0');
    const head = resolution.power_levels;
    assert.ok(head !== null && engine.reader.event(older).pdu.authEvents.some((id) => id === head));
    assert.match(resolution.explanation.join('\n'), 'only some of the states rest on them');
    await engine.close();
  });
}

test('a name that soft failed became current by a merge', async () => {
  const { engine, room } = await openRoom('old-v1');
  const name = '$179540098432cIxBp:beta.test:7102';
  const before = '$179540098018xvcGS:alpha.test:7101';
  const entry = only(await engine.blame(room.expected.room_id, 'm.room.name', ''));
  assert.is(entry.event_id, name);
  assert.is(entry.verdict, 'soft_failed');
  assert.is(entry.replaced, before);
  assert.is(entry.since?.event_id, '$179540098533jDCpl:beta.test:7102');
  assert.is(engine.reader.event(entry.since?.event_id ?? '').verdict, 'accepted');
  const { merge, winner, over, algorithm, steps } = merged(entry.resolution);
  assert.is(algorithm, 'v1');
  assert.is(merge, '$179540098533qLjtI:alpha.test:7101');
  assert.is(winner, name);
  assert.equal(over, [before]);
  assert.equal(
    steps.map(({ eventId, phase, allowed }) => [eventId, phase, allowed]),
    [[name, 'v1-other', true]],
  );
  const text = entry.explanation.join('\n');
  assert.match(text, `${name} of @boris:beta.test:7102 soft failed on arrival`);
  assert.match(text, 'level 0, needed 50');
  await engine.close();
});

test('a lost key is told: the merge, both names, and the level that refused them', async () => {
  const { engine, room } = await openRoom('crowd-v11');
  const { room_id: roomId, current_state_a: current } = room.expected;
  const older = '$8cQQS92ERaMv4oRR35Et410v8Ls8hKeqTSJQpJCTpTk';
  const newer = '$V3NkQTunQhBcTH6okwpSD57ynzaeWMev47ckJgGssug';
  const demotion = '$Zq4pQz-V3wrPMp7r8KqazoRp6JVwyhZI_4IuZW1ZJZg';
  const entry = only(await engine.blame(roomId, 'm.room.name', ''));
  assert.is(entry.event_id, null);
  const { merge, winner, over, power_levels: levels, explanation } = merged(entry.resolution);
  assert.is(winner, null);
  assert.is(entry.since?.event_id, merge);
  assert.equal([...over].sort(), [older, newer].sort());
  assert.is(levels, demotion);
  for (const { event_id, how, rule, reason } of entry.beat) {
    assert.ok(over.includes(event_id));
    assert.is(how, 'refused');
    assert.is(rule, '7');
    assert.match(reason, '@bianca:beta.test:7102 may not send "m.room.name": level 0, needed 50');
  }
  assert.match(explanation.join('\n'), 'm.room.name was lost at the merge');

  const all = await engine.blame(roomId);
  assert.is(all.length, current.length + 1);
  assert.equal(
    all.filter(({ event_id }) => event_id === null).map(({ type }) => type),
    ['m.room.name'],
  );
  await engine.close();
});

test('what was claimed once, by one event, is blamed without a walk', async () => {
  const { engine, room } = await openRoom('forks-v10');
  engine.reader.events.reads = 0;
  const entry = only(await engine.blame(room.expected.room_id, 'm.room.create', ''));
  assert.is(entry.set?.depth, 1);
  assert.ok(engine.reader.events.reads <= 4, `${engine.reader.events.reads} reads`);
  await engine.close();
});

test('a key that no event claimed has no entry, and an unknown room is an error', async () => {
  const { engine, room } = await openRoom('small-v11');
  assert.equal(await engine.blame(room.expected.room_id, 'org.example.nothing', ''), []);
  try {
    await engine.blame('!nowhere:example.org');
    assert.unreachable();
  } catch (error) {
    assert.is((error as { code?: string }).code, 'READER_ROOM_UNKNOWN');
  }
  await engine.close();
});

test.run();
