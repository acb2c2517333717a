// A homeserver that goes down and comes up again in the middle of what others send it.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { RoomId } from '../../../src/event/ids.js';
import { textOf } from '../../client/harness.js';
import { network } from '../network.js';

const restart = suite('restarts in the middle of traffic');

restart('all that was sent arrives, each event once, and the states agree', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'stateroom-'));
  const net = await network({ servers: 2, folder });
  try {
    const [here, there] = [net.site(0).name, net.site(1).name];
    const alice = await net.site(here).harness.user('alice');
    const bob = await net.site(there).harness.user('bob');
    const ask = (site: string, who: typeof bob, method: 'POST' | 'PUT', path: string, body: object) =>
      net.site(site).harness.call(who, method, path, body);
    const created = await ask(there, bob, 'POST', '/v3/createRoom', { preset: 'public_chat' });
    const roomId = textOf(created.body['room_id']) as RoomId;
    const path = `/v3/join/${encodeURIComponent(roomId)}?via=${there}`;
    assert.is((await ask(here, alice, 'POST', path, {})).status, 200);
    const sent: string[] = [];
    for (let i = 0; i < 60; i++) {
      const room = `/v3/rooms/${encodeURIComponent(roomId)}`;
      const content = { msgtype: 'm.text', body: `${i}` };
      const { body } = await ask(there, bob, 'PUT', `${room}/send/m.room.message/${i}`, content);
      sent.push(textOf(body['event_id']));
      // Down while transactions are on their way or queued, up again some messages later.
      if (i % 20 === 10) await net.stop(here);
      if (i % 20 === 15) await net.start(here);
    }
    for (let round = 0; round < 12; round++) {
      net.advance(1_000 * 2 ** round);
      await net.settle();
    }
    const { engine } = net.site(here).harness.home;
    const released: string[] = [];
    for await (const { seqLast, events } of engine.released()) {
      for (const { row, timelineOrder } of events)
        if (timelineOrder !== undefined) released.push(row.eventId);
      if (seqLast >= engine.core.release.watermark) break;
    }
    for (const id of sent) assert.is(released.filter((one) => one === id).length, 1, id);
    const other = net.site(there).harness.home.engine;
    assert.is(engine.currentState(roomId).root, other.currentState(roomId).root);
    assert.is(net.site(here).federation.input.depths.events, 0);
  } finally {
    await net.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

restart.run();
