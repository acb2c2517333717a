// Between whole homeservers: a client reads back beyond what its server knows, and the server asks the others.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { RoomId } from '../../../src/event/ids.js';
import { itemsOf, type Json, type TestUser, textOf } from '../../client/harness.js';
import { type Network, network, type Site } from '../network.js';

const messages = suite('messages from before the join');

interface Stage {
  readonly net: Network;
  readonly here: Site;
  readonly there: Site;
  readonly alice: TestUser;
  readonly roomId: RoomId;
}

/** Bob has said much before Alice, of another server, joins. */
async function stage(count: number): Promise<Stage> {
  const net = await network({ servers: 2 });
  const [here, there] = [net.site(0), net.site(1)];
  const alice = await here.harness.user('alice');
  const bob = await there.harness.user('bob');
  const created = await there.harness.call(bob, 'POST', '/v3/createRoom', { preset: 'public_chat' });
  const roomId = textOf(created.body['room_id']) as RoomId;
  const room = `/v3/rooms/${encodeURIComponent(roomId)}`;
  for (let i = 0; i < count; i++) {
    const content = { msgtype: 'm.text', body: `${i}` };
    await there.harness.call(bob, 'PUT', `${room}/send/m.room.message/${i}`, content);
  }
  const joined = await here.harness.call(
    alice,
    'POST',
    `/v3/join/${encodeURIComponent(roomId)}`,
    {},
    {
      query: { via: there.name },
    },
  );
  assert.is(joined.status, 200);
  await net.settle();
  return { net, here, there, alice, roomId };
}

async function page({ here, alice, roomId }: Stage, query: Record<string, string>): Promise<Json> {
  const path = `/v3/rooms/${encodeURIComponent(roomId)}/messages`;
  const { status, body } = await here.harness.call(alice, 'GET', path, {}, { query: { dir: 'b', ...query } });
  assert.is(status, 200, JSON.stringify(body));
  return body;
}

messages('pages go back through all that was said before, to the beginning, each event once', async () => {
  const at = await stage(30);
  const seen: string[] = [];
  const bodies: string[] = [];
  let from: string | undefined;
  for (let i = 0; i < 20; i++) {
    const body = await page(at, { limit: '10', ...(from === undefined ? {} : { from }) });
    for (const event of itemsOf(body['chunk'])) {
      seen.push(textOf(event['event_id']));
      if (event['content']?.['body'] !== undefined) bodies.push(textOf(event['content']['body']));
    }
    if (body['end'] === undefined) break;
    from = textOf(body['end']);
  }
  assert.equal(
    bodies,
    Array.from({ length: 30 }, (_, i) => `${29 - i}`),
  );
  assert.is(new Set(seen).size, seen.length);
  const { engine } = at.here.harness.home;
  const first = engine.reader.event(seen.at(-1) ?? '');
  assert.is(first.pdu.type, 'm.room.create');
  assert.equal(engine.backwardExtremities(at.roomId), []);
  assert.is(engine.currentState(at.roomId).root, at.there.harness.home.engine.currentState(at.roomId).root);
  await at.net.close();
});

messages('when nobody answers, the page ends where knowledge does, and can be asked for again', async () => {
  const at = await stage(10);
  at.net.cut(at.here, at.there);
  const before = await page(at, { limit: '50' });
  assert.ok(before['end'], 'there is more');
  const again = await page(at, { limit: '50', from: textOf(before['end']) });
  assert.equal(again['chunk'], []);
  assert.is(again['end'], before['end'], 'no further for now');
  at.net.heal();
  at.net.advance(60_000);
  const after = await page(at, { limit: '50', from: textOf(before['end']) });
  const bodies = itemsOf(after['chunk']).flatMap((event) => event['content']?.['body'] ?? []);
  assert.is(bodies.length, 10);
  await at.net.close();
});

messages('who looks forward, or has left, makes nobody ask', async () => {
  const at = await stage(3);
  const { here, alice, roomId, net } = at;
  const asked = (): number => net.asked.filter(({ uri }) => uri.includes('/backfill/')).length;
  await page(at, { dir: 'f', limit: '50' });
  assert.is(asked(), 0);
  await here.harness.call(alice, 'POST', `/v3/rooms/${encodeURIComponent(roomId)}/leave`);
  await net.settle();
  await page(at, { limit: '50' });
  assert.is(asked(), 0);
  await net.close();
});

messages.run();
