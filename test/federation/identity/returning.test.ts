// A server that was away for so long that its keys have to be asked for anew, and that is left alone meanwhile.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId } from '../../../src/event/ids.js';
import { textOf } from '../../client/harness.js';
import { Person, play, PUBLIC, v3 } from '../membership/people.js';

const test = suite('federation/identity returning');

test('who comes back after days is let in with its first request, however long it was to be left alone', () =>
  play(2, async (net) => {
    const [alice, bob] = [await Person.at(net, 0, 'alice'), await Person.at(net, 1, 'bob')];
    const roomId = await bob.createRoom(PUBLIC);
    await alice.ask('POST', `${v3`/v3/join/${roomId}`}?via=${bob.site.name}`);
    await net.settle();
    net.cut(alice.site, bob.site);
    const { federation, harness } = alice.site;
    const { name: away } = bob.site;
    while (net.clock.now < Date.UTC(2026, 0, 4)) {
      if (!federation.destinations.isBackingOff(away)) {
        await federation.remote.queryProfile(away, bob.userId).catch(() => undefined);
      }
      net.advance(3_600_000);
    }
    assert.ok(federation.destinations.isBackingOff(away));
    net.heal();
    bob.site.federation.destinations.retryNow(alice.site.name);
    const path = v3`/v3/rooms/${roomId}/send/m.room.message/1`;
    const { event_id } = await bob.ask('PUT', path, { msgtype: 'm.text', body: 'back' });
    await net.settle();
    assert.ok(harness.home.engine.graph.isPlaced(textOf(event_id) as EventId));
    assert.not(federation.destinations.isBackingOff(away));
  }));

test.run();
