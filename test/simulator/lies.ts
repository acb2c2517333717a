// What a hostile server signs: events that claim a place, auth events, a time or a depth that they should not.
//
// Their form is right and the signature is its own, so nothing but the rules can tell.

import type { EventId } from '../../src/event/ids.js';
import type { Pdu } from '../../src/event/pdu.js';
import type { Scene } from './deeds.js';
import type { Draft } from './test-server.js';

type Lie = (draft: Draft, scene: Scene) => Draft;

/** Sent although the rules may forbid it. */
const asIs: Lie = (draft) => draft;

/** Follows something long past: what the sender was allowed then. */
const fromThePast: Lie = (draft, scene) => ({ ...draft, prevEvents: [placed(scene)] });

/** Follows the present, and cites the auth events of another time. */
const staleAuth: Lie = (draft, scene) => ({ ...draft, authFrom: placed(scene) });

/** Follows several branches at once, hidden events among them. */
const acrossBranches: Lie = (draft, scene) => ({
  ...draft,
  prevEvents: [...new Set([placed(scene), placed(scene), placed(scene)])],
});

/** Cites one auth event too many, too few, or twice. */
const oddAuth: Lie = (draft, scene) => {
  const { random, server } = scene;
  const proper = server.build(draft).authEvents;
  const less = proper.filter(() => !random.oneIn(3));
  const more = random.oneIn(2) ? [...less, random.pick(scene.events)] : less;
  return { ...draft, authEvents: more };
};

/** Lies about its time and depth, which order events in resolution. */
const oddTime: Lie = (draft, { random }) => ({
  ...draft,
  originServerTs: random.pick([0, 1, 1_600_000_000_000, 2_000_000_000_000]),
  depth: random.pick([0, 1, 7, 1_000_000, Number.MAX_SAFE_INTEGER]),
});

const LIES: readonly Lie[] = [asIs, fromThePast, fromThePast, staleAuth, acrossBranches, oddAuth, oddTime];

/** An event that a hostile server signs; two lies at times. */
export function lie(draft: Draft, scene: Scene): Pdu {
  const { random, server } = scene;
  const told = random.pick(LIES)(draft, scene);
  return server.build(random.oneIn(3) ? random.pick(LIES)(told, scene) : told);
}

function placed({ random, events }: Scene): EventId {
  return random.pick(events);
}
