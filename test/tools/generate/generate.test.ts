// Generated rooms are what they say: right in every hash, signature and id, allowed, and the same every time.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { ROOM_VERSIONS } from '../../../src/event/rules.js';
import { StateroomError } from '../../../src/lib/errors.js';
import {
  type GenerateOptions,
  generateRoom,
  scriptOf,
  writeRoom,
} from '../../../tools/generate/generate-room.js';
import { HQ_MEMBERS, HQ_STATE_EVENTS, planOf } from '../../../tools/generate/options.js';
import { Random } from '../../../tools/generate/random.js';
import type { EventStep } from '../../../tools/generate/script.js';
import { receiveRoom } from './replay-room.js';

const rooms = suite('generated rooms');
const shapes = suite('shapes of generated rooms');
const randoms = suite('randomness of the generator');

function linesOf(options: GenerateOptions): string[] {
  return [...generateRoom(options).events()].map(({ line }) => line);
}

function stepsOf(options: GenerateOptions): EventStep[] {
  return [...scriptOf(planOf(options))].filter((step) => step.kind === 'event');
}

function joinedUsers(steps: readonly EventStep[]): Set<string> {
  const joined = new Set<string>();
  for (const { type, stateKey, content } of steps) {
    if (type !== 'm.room.member' || stateKey === undefined) continue;
    if (content['membership'] === 'join') joined.add(stateKey);
    else joined.delete(stateKey);
  }
  return joined;
}

rooms('the same seed gives the same bytes, another seed others', () => {
  const options: GenerateOptions = { preset: 'small', seed: 'one' };
  assert.equal(linesOf(options), linesOf(options));
  assert.equal(generateRoom(options).publicKeys, generateRoom(options).publicKeys);
  const other = new Set(linesOf({ ...options, seed: 'two' }));
  assert.not.ok(linesOf(options).some((line) => other.has(line)));
});

for (const { version } of ROOM_VERSIONS) {
  rooms(
    `every event of version ${version} is right, signed and allowed by the resolved state before it`,
    () => {
      const room = generateRoom({ members: 24, servers: 4, forks: 6, messages: 30, roomVersion: version });
      const received = receiveRoom(room);
      assert.equal(received.faults, []);
      assert.is(received.events.length, room.eventCount);
      assert.is(received.disputes, 6);
      const joined = received.state.filter(
        ({ type, event }) => type === 'm.room.member' && event.content['membership'] === 'join',
      );
      assert.is(joined.length, 24);
    },
  );
}

for (const roomVersion of ['5', '10'] as const) {
  rooms(`a room in the shape of HQ, scaled down, is allowed in version ${roomVersion}`, () => {
    const room = generateRoom({
      preset: 'hq',
      members: 200,
      servers: 150,
      forks: 5,
      messages: 50,
      roomVersion,
    });
    const received = receiveRoom(room);
    assert.equal(received.faults, []);
    assert.is(received.disputes, 5);
  });
}

rooms('small rooms of many seeds are allowed, with as many merges as forks were asked for', () => {
  for (const roomVersion of ['1', '2', '12']) {
    for (let seed = 0; seed < 6; seed++) {
      const received = receiveRoom(generateRoom({ preset: 'small', roomVersion, seed: `seed ${seed}` }));
      assert.equal(received.faults, [], `version ${roomVersion}, seed ${seed}`);
      assert.is(received.events.filter(({ prevEvents }) => prevEvents.length > 1).length, 2);
      assert.is(received.disputes, 2);
    }
  }
});

rooms('the smallest room that can be asked for is one', () => {
  const received = receiveRoom(generateRoom({ members: 1, servers: 1, messages: 0, forks: 2 }));
  assert.equal(received.faults, []);
});

rooms('a room is written to files line by line, with the keys that verify it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'stateroom-generate-'));
  try {
    const files = { out: join(folder, 'room.jsonl'), keys: join(folder, 'keys.json') };
    const progress: Array<readonly [number, number]> = [];
    const options: GenerateOptions = { preset: 'small', messages: 300 };
    const room = await writeRoom(options, files, (written, total) => progress.push([written, total]));
    assert.is(readFileSync(files.out, 'utf8'), `${linesOf(options).join('\n')}\n`);
    assert.equal(JSON.parse(readFileSync(files.keys, 'utf8')), room.publicKeys);
    assert.ok(progress.length > 1);
    assert.equal(progress.at(-1), [room.eventCount, room.eventCount]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

shapes('preset hq has the state events of Matrix HQ, type by type', () => {
  const steps = stepsOf({ preset: 'hq' });
  const counts = new Map<string, number>();
  const keys = new Set<string>();
  for (const { type, stateKey } of steps) {
    counts.set(type, (counts.get(type) ?? 0) + 1);
    if (stateKey !== undefined) keys.add(`${type}\n${stateKey}`);
  }
  assert.is(counts.get('m.room.message'), 5000);
  counts.delete('m.room.message');
  assert.is(
    [...counts.values()].reduce((sum, count) => sum + count, 0),
    30_856,
  );
  assert.is(counts.get('m.room.member'), HQ_MEMBERS);
  for (const [type, count] of Object.entries(HQ_STATE_EVENTS)) assert.is(counts.get(type), count, type);
  assert.is(joinedUsers(steps).size, HQ_MEMBERS);
  assert.is(keys.size, 30_837);
});

shapes('preset hq has aliases under the name of their sender’s server', () => {
  for (const { type, stateKey, sender } of stepsOf({ preset: 'hq' })) {
    if (type === 'm.room.aliases') assert.is(stateKey, sender.server);
  }
});

shapes('preset small has 20 members on 3 servers and 2 forks', () => {
  const options: GenerateOptions = { preset: 'small' };
  const steps = stepsOf(options);
  assert.is(joinedUsers(steps).size, 20);
  assert.is(new Set(steps.map(({ sender }) => sender.server)).size, 3);
  assert.is([...scriptOf(planOf(options))].filter(({ kind }) => kind === 'fork').length, 2);
});

shapes(
  'an everyday room has joins, leaves, kicks, bans, unbans, invites, profile and power level changes',
  () => {
    const seen = new Set<string>();
    const joined = new Set<string>();
    for (const { type, stateKey, sender, content } of stepsOf({ members: 200 })) {
      if (type !== 'm.room.member' || stateKey === undefined) {
        seen.add(type);
        continue;
      }
      const own = sender.userId === stateKey ? 'own' : 'other';
      seen.add(
        `${own} ${JSON.stringify(content['membership'])}${joined.has(stateKey) ? ' of a member' : ''}`,
      );
      if (content['membership'] === 'join') joined.add(stateKey);
      else joined.delete(stateKey);
    }
    for (const kind of [
      'own "join"',
      'own "join" of a member',
      'own "leave" of a member',
      'other "leave" of a member',
      'other "leave"',
      'other "ban" of a member',
      'other "invite"',
      'm.room.power_levels',
      'm.room.topic',
      'm.room.name',
      'm.room.avatar',
      'm.room.message',
    ]) {
      assert.ok(seen.has(kind), kind);
    }
  },
);

shapes('what cannot be made is refused with a stable code', () => {
  const refused: GenerateOptions[] = [
    { members: 0 },
    { members: 1.5 },
    { servers: 3, members: 2 },
    { roomVersion: '13' },
    { forks: -1 },
    { messages: Number.NaN },
    { preset: 'hq', members: 100 },
  ];
  for (const options of refused) {
    assert.throws(
      () => generateRoom(options),
      (error: unknown) => error instanceof StateroomError && error.code === 'GENERATE_BAD_OPTION',
      JSON.stringify(options),
    );
  }
});

randoms('numbers stay within their limits and reach all of them', () => {
  const random = new Random('seed', 'test');
  const seen = new Map<number, number>();
  for (let i = 0; i < 6000; i++) {
    const drawn = random.between(3, 8);
    seen.set(drawn, (seen.get(drawn) ?? 0) + 1);
  }
  assert.equal(
    [...seen.keys()].sort((a, b) => a - b),
    [3, 4, 5, 6, 7, 8],
  );
  // A thousand each is expected; the seed is fixed, so this cannot fail by chance.
  for (const count of seen.values()) assert.ok(count > 850 && count < 1150);
});

randoms('purposes and seeds have streams of their own', () => {
  const draw = (seed: string, purpose: string): string => new Random(seed, purpose).token(20);
  assert.is(draw('a', 'x'), draw('a', 'x'));
  assert.is(new Set([draw('a', 'x'), draw('a', 'y'), draw('b', 'x')]).size, 3);
});

randoms('taking from a list takes each thing once', () => {
  const random = new Random('seed', 'take');
  const list = [1, 2, 3, 4, 5];
  const taken = Array.from({ length: 5 }, () => random.take(list));
  assert.equal(
    taken.sort((a, b) => a - b),
    [1, 2, 3, 4, 5],
  );
  assert.equal(list, []);
});

rooms.run();
shapes.run();
randoms.run();
