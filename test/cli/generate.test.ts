import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { toBase64 } from '../../src/lib/base64.js';
import { KeptSigningKeys } from '../../src/server/signing-key-file.js';
import { jsonOf, makeWorkplace } from './run.js';

const test = suite('cli/generate and demo');
const place = makeWorkplace();
test.after(() => place.remove());

test('a generated room can be imported, and the same seed gives the same bytes', () => {
  const options = [
    '--members',
    '12',
    '--servers',
    '2',
    '--forks',
    '2',
    '--room-version',
    '10',
    '--seed',
    'x',
  ];
  const ran = place.run(['generate', ...options, '--out', 'a.jsonl', '--keys', 'a.json', '--json']);
  assert.is(ran.code, 0, ran.stderr);
  const report = jsonOf<{ room_version: string; events: number; servers: number }>(ran);
  assert.is(report.room_version, '10');
  assert.is(report.servers, 2);
  place.run(['generate', ...options, '--out', 'b.jsonl', '--keys', 'b.json']);
  assert.is(readFileSync(place.file('a.jsonl'), 'utf8'), readFileSync(place.file('b.jsonl'), 'utf8'));
  const taken = place.run(['import', 'a.jsonl', '--keys', 'a.json', '--json']);
  assert.is(jsonOf<{ accepted: number }>(taken).accepted, report.events);
  const [room] = jsonOf<Array<{ room_id: string }>>(place.run(['rooms', '--json']));
  const joined = place.run(['members', room?.room_id ?? '', '--membership', 'join', '--json']);
  assert.is(jsonOf<unknown[]>(joined).length, 12);
});

test("the founder's signing key can be had, is that of the room, and takes no other's place", async () => {
  const options = ['--members', '3', '--servers', '1', '--out', 'k.jsonl', '--keys', 'k.json'];
  const ran = place.run(['generate', ...options, '--signing-key', 'founder.key', '--json']);
  assert.is(ran.code, 0, ran.stderr);
  const { founder } = jsonOf<{ founder: string }>(ran);
  const kept = await KeptSigningKeys.open(place.file('founder.key'));
  const { keyId, publicKey } = kept.signingKey;
  const told: unknown = JSON.parse(readFileSync(place.file('k.json'), 'utf8'));
  assert.equal(told, { [founder]: { [keyId]: toBase64(publicKey) } });
  const again = place.run(['generate', ...options, '--signing-key', 'founder.key']);
  assert.is(again.code, 3);
  assert.match(again.stderr, /founder\.key/);
});

test('a place that cannot be written is named', () => {
  const ran = place.run(['generate', '--preset', 'small', '--out', 'no/such/a.jsonl', '--keys', 'a.json']);
  assert.is(ran.code, 3);
  assert.match(ran.stderr, /CLI_FILE_UNREADABLE: no\/such\/a\.jsonl/);
});

test('the demo goes through and leaves nothing behind', () => {
  const demosIn = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('stateroom-demo-'));
  const before = demosIn();
  const ran = place.run(['demo']);
  assert.is(ran.code, 0, ran.stderr);
  assert.match(ran.stdout, '579 accepted, 0 rejected');
  assert.match(ran.stdout, /proven by \d+ nodes/);
  assert.equal(demosIn(), before);
  assert.not.ok(readdirSync(place.folder).includes('stateroom-data'));
});

test.run();
