// Events of a room that a server is asked for by their ids, singly as every server answers or many at once as those
// of our make do; and taking them in together with what they cite.

import type { EventId, RoomId, ServerName } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import type { RoomVersionRules } from '../../event/rules.js';
import type { RemoteServers } from '../requests.js';
import { EVENTS_ASKED_MAX } from '../state-parts.js';
import type { Effort } from './effort.js';
import { readEvent, readEvents } from './fetched-events.js';
import type { GapOptions } from './options.js';
import { type OutlierParts, takeOutliers } from './outliers.js';

/** A room whose events are asked for. */
interface AskedRoom {
  readonly roomId: RoomId;
  readonly rules: RoomVersionRules;
}

/** Times that what fetched events cite is fetched in its turn. */
const CITED_ROUNDS_MAX = 5;

/** The events of these ids that the server gives; one that is another than asked for is none. */
export async function eventsSingly(
  { remote, options }: { readonly remote: Pick<RemoteServers, 'event'>; readonly options: GapOptions },
  effort: Effort,
  { roomId, rules }: AskedRoom,
  ids: ReadonlySet<EventId>,
  server: ServerName,
): Promise<Map<EventId, Pdu>> {
  const events = new Map<EventId, Pdu>();
  const asked = [...ids].slice(0, effort.takeSingles(ids.size));
  for (let i = 0; i < asked.length && !effort.isSpent; i += options.singleEventsAtOnce) {
    const some = asked.slice(i, i + options.singleEventsAtOnce);
    const jsons = await Promise.all(
      some.map((id) => effort.once(server, (limits) => remote.event(server, id, limits))),
    );
    for (const [at, id] of some.entries()) {
      const json = jsons[at];
      const event = json === undefined ? undefined : readEvent(json, rules);
      if (event?.eventId === id && event.roomId === roomId) events.set(id, event);
    }
  }
  return events;
}

/** The same from a server of our make, in few requests. */
export async function eventsTogether(
  { remote }: { readonly remote: Pick<RemoteServers, 'stateroom'> },
  effort: Effort,
  { roomId, rules }: AskedRoom,
  ids: ReadonlySet<EventId>,
  server: ServerName,
): Promise<Map<EventId, Pdu>> {
  const events = new Map<EventId, Pdu>();
  let lacking = [...ids];
  while (lacking.length > 0 && !effort.isSpent) {
    const asked = lacking.slice(0, EVENTS_ASKED_MAX);
    const jsons = await effort.once(server, (limits) =>
      remote.stateroom.events(server, roomId, asked, limits),
    );
    if (jsons === undefined) break;
    const came = await readEvents(jsons, roomId, rules, (id) => ids.has(id) && !events.has(id));
    for (const [id, event] of came) events.set(id, event);
    // An answer that is full leaves events out, so who gave some is asked for the others again.
    const left = came.size === 0 ? [] : asked.filter((id) => !events.has(id));
    lacking = [...left, ...lacking.slice(asked.length)];
  }
  return events;
}

/**
 * Takes events in, and, where they cite others that did not come with them, these too.
 * @param ask gives events of the same room by their ids
 * @returns the ids of what was refused for what it is
 */
export async function takeWithCited(
  parts: OutlierParts,
  effort: Effort,
  events: Map<EventId, Pdu>,
  server: ServerName,
  ask: (ids: ReadonlySet<EventId>) => Promise<ReadonlyMap<EventId, Pdu>>,
  roundsMax = CITED_ROUNDS_MAX,
): Promise<ReadonlySet<EventId>> {
  const refused = new Set<EventId>();
  for (let round = 0; round < roundsMax; round++) {
    const { dropped, uncited } = await takeOutliers(parts, effort, events, server);
    for (const id of dropped) refused.add(id);
    const lacking = new Set([...uncited].filter((id) => !refused.has(id)));
    if (lacking.size === 0 || effort.isSpent) break;
    const cited = await ask(lacking);
    if (cited.size === 0) break;
    for (const [id, event] of cited) events.set(id, event);
  }
  return refused;
}
