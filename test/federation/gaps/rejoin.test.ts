// Two whole homeservers: what one of them missed while it was cut off costs it what changed, and no list of the room.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId } from '../../../src/event/ids.js';
import { textOf } from '../../client/harness.js';
import { idsOf } from '../peers.js';
import { type Network, network } from '../network.js';

const test = suite('state by its tree, between homeservers');

/** What b asked a while something was done. */
async function askedDuring(net: Network, work: () => Promise<void>): Promise<string[]> {
  const before = net.asked.length;
  await work();
  const asked = net.asked
    .slice(before)
    .filter(({ from, uri }) => from === 'b.test' && !uri.includes('/send/'));
  return asked.map(({ uri }) => /(?:v1|v2|org\.stateroom)\/([a-z_]+)/.exec(uri)?.[1] ?? uri);
}

const CASES = ['1', '3', '11', '12'].flatMap((version) => [
  { version, isForked: false },
  { version, isForked: true },
]);

for (const { version, isForked } of CASES) {
  const lacking = isForked ? 'nodes' : 'differences';
  test(`version ${version}: after a time apart the ${lacking} and events that are lacking are all that is asked for`, async () => {
    const net = await network({
      servers: 2,
      tuning: { gaps: { missingRoundsMax: 0, treeEntriesMin: 10 } },
    });
    const [a, b] = [net.site(0), net.site(1)];
    const [alice, bob] = [await a.harness.user('alice'), await b.harness.user('bob')];
    const created = await a.harness.call(alice, 'POST', '/v3/createRoom', {
      preset: 'public_chat',
      room_version: version,
    });
    const roomId = textOf(created.body['room_id']);
    const set = async (i: number, text: string): Promise<EventId> => {
      const path = `/v3/rooms/${encodeURIComponent(roomId)}/state/x.note/${i}`;
      const { status, body } = await a.harness.call(alice, 'PUT', path, { text });
      assert.is(status, 200);
      return textOf(body['event_id']) as EventId;
    };
    for (let i = 0; i < 40; i++) await set(i, 'before');
    const join = `/v3/join/${encodeURIComponent(roomId)}`;
    const joined = await b.harness.call(bob, 'POST', join, {}, { query: { via: a.name } });
    assert.is(joined.status, 200);
    await net.settle();

    net.cut(a, b);
    for (const i of [3, 17, 50]) await set(i, 'missed');
    await net.settle();
    const newest = await set(60, 'newest');
    net.heal();
    // What b goes on from is then nothing that a knows.
    net.faults = ({ request }) => (request.uri.includes('/send/') ? { kind: 'hang' } : undefined);
    const said = `/v3/rooms/${encodeURIComponent(roomId)}/send/m.room.message/apart`;
    if (isForked) await b.harness.call(bob, 'PUT', said, { msgtype: 'm.text', body: 'apart' });
    const asked = await askedDuring(net, async () => {
      const { engine } = a.harness.home;
      await b.federation.input.receive(a.name, 'newest', {
        pdus: [engine.reader.event(newest).pdu.json],
        edus: [],
      });
      await net.settle();
      net.advance(1_000);
      await net.settle();
    });
    const kinds = ['state_difference', ...(isForked ? ['state_nodes'] : []), 'events'];
    assert.equal([...new Set(asked)], kinds, asked.join(' '));
    if (!isForked) assert.is(asked.length, 2);
    const [there, here] = [a, b].map(({ harness }) => idsOf(harness.home.engine.stateAt(newest)));
    assert.equal(here, there);
    await net.close();
  });
}

test.run();
