// Auth chains: of an event, and of a whole state.
//
// They are walked by seqs along the `chains` rows; no event is parsed. The chain of a room's state is kept with
// how often each event is cited, from the state or from within the chain: the auth graph has no circles, so
// these counts say exactly what is in it, and another state of the room costs what differs.
//
//   state   e1  e2  e3           e3 replaced by e4:  cite(auth of e4), uncite(auth of e3);
//           |  /|  /             what nobody cites any more gives up its own auth events in turn
//   chain   a1  a2 -> a3
//
// Source: server-server API, "Retrieving event authorisation information".

import { setImmediate as nextTurn } from 'node:timers/promises';
import { createIdOfRoom, type EventId, type RoomId } from '../../../event/ids.js';
import { ClockCache } from '../../../lib/clock-cache.js';
import { Turns } from '../../../lib/turns.js';
import type { StateView } from '../../../reader/state-view.js';
import type { Store } from '../../../store/store.js';

/** Entries of states and chains that are kept, over all rooms: about 250 bytes each. */
const ENTRIES_KEPT = 300_000;
/** Entries that are read in one turn of the event loop. */
const ENTRIES_IN_TURN = 500;

/** An event of a chain. */
interface Cited {
  readonly eventId: EventId;
  readonly authSeqs: readonly number[];
  count: number;
}

/** The chain of one state of a room, which can be moved to another state of it. */
class StateChain {
  readonly #store: Store;
  readonly #implied: number | undefined;
  readonly #entries = new Map<EventId, { readonly seq: number; readonly authSeqs: readonly number[] }>();
  readonly #cited = new Map<number, Cited>();
  #view: StateView | undefined;

  constructor(store: Store, view: StateView) {
    this.#store = store;
    this.#implied = impliedCreate(store, view);
  }

  /** Entries held, for the cache's bound. */
  get size(): number {
    return this.#entries.size + this.#cited.size;
  }

  /** Makes it that of another state. */
  async moveTo(view: StateView): Promise<void> {
    const before = this.#view;
    // When it ends in between, what is held is that of no state.
    this.#view = undefined;
    let changes = 0;
    if (before === undefined) {
      for (const { eventId } of view.entries()) {
        this.#add(eventId);
        if (++changes % ENTRIES_IN_TURN === 0) await nextTurn();
      }
    } else {
      for (const change of before.diff(view)) {
        if (change.after !== undefined) this.#add(change.after);
        if (change.before !== undefined) this.#remove(change.before);
        if (++changes % ENTRIES_IN_TURN === 0) await nextTurn();
      }
    }
    this.#view = view;
  }

  /** Places in the store of the state's events. */
  stateSeqs(): number[] {
    return [...this.#entries.values()].map(({ seq }) => seq);
  }

  stateIds(): EventId[] {
    return [...this.#entries.keys()];
  }

  /** Places in the store of the events of the chain, in commit order: cited before citing. */
  chainSeqs(): number[] {
    return [...this.#cited.keys()].sort((a, b) => a - b);
  }

  chainIds(): EventId[] {
    return [...this.#cited.values()].map(({ eventId }) => eventId);
  }

  /** Does a move that was cut short make it useless? */
  get isBroken(): boolean {
    return this.#view === undefined;
  }

  #add(eventId: EventId): void {
    const seq = this.#store.seqOf(eventId);
    if (seq === undefined || this.#entries.has(eventId)) return;
    const authSeqs = this.#authSeqs(seq);
    this.#entries.set(eventId, { seq, authSeqs });
    this.#cite(authSeqs);
  }

  #remove(eventId: EventId): void {
    const entry = this.#entries.get(eventId);
    if (entry === undefined) return;
    this.#entries.delete(eventId);
    this.#uncite(entry.authSeqs);
  }

  #cite(seqs: readonly number[]): void {
    const waiting = [...seqs];
    for (let seq = waiting.pop(); seq !== undefined; seq = waiting.pop()) {
      const known = this.#cited.get(seq);
      if (known !== undefined) {
        known.count++;
        continue;
      }
      const eventId = this.#store.event(seq)?.eventId;
      if (eventId === undefined) continue;
      const authSeqs = this.#authSeqs(seq);
      this.#cited.set(seq, { eventId, authSeqs, count: 1 });
      waiting.push(...authSeqs);
    }
  }

  #uncite(seqs: readonly number[]): void {
    const waiting = [...seqs];
    for (let seq = waiting.pop(); seq !== undefined; seq = waiting.pop()) {
      const known = this.#cited.get(seq);
      if (known === undefined || --known.count > 0) continue;
      this.#cited.delete(seq);
      waiting.push(...known.authSeqs);
    }
  }

  #authSeqs(seq: number): readonly number[] {
    return authSeqsOf(this.#store, seq, this.#implied);
  }
}

/** A state with its chain, by places in the store. */
export interface ChainOfState {
  readonly stateSeqs: readonly number[];
  /** In commit order. */
  readonly chainSeqs: readonly number[];
}

/** The same by ids. */
export interface IdsOfState {
  readonly stateIds: readonly EventId[];
  readonly chainIds: readonly EventId[];
}

export class AuthChains {
  readonly #store: Store;
  readonly #rooms = new ClockCache<RoomId, StateChain>(ENTRIES_KEPT);
  /** One state of a room at a time: they share what is kept. */
  readonly #turns = new Turns<RoomId>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** The events of a state, and all in the auth chains of them. O(k log n) for k differences from the last asked. */
  ofState(view: StateView): Promise<ChainOfState> {
    return this.#ofState(view, (chain) => ({ stateSeqs: chain.stateSeqs(), chainSeqs: chain.chainSeqs() }));
  }

  /** The same by ids: no event is read, nor the tree but for what differs. */
  idsOfState(view: StateView): Promise<IdsOfState> {
    return this.#ofState(view, (chain) => ({ stateIds: chain.stateIds(), chainIds: chain.chainIds() }));
  }

  /** @param read called in the turn in which the chain is that of the state */
  #ofState<T>(view: StateView, read: (chain: StateChain) => T): Promise<T> {
    return this.#turns.in(view.roomId, async () => read(await this.#moved(view)));
  }

  async #moved(view: StateView): Promise<StateChain> {
    const kept = this.#rooms.get(view.roomId);
    const chain = kept === undefined || kept.isBroken ? new StateChain(this.#store, view) : kept;
    await chain.moveTo(view);
    this.#rooms.set(view.roomId, chain, chain.size);
    return chain;
  }

  /**
   * All events in the auth chains of these, the given ones only where others cite them; in commit order.
   * @param seqs state events' places in the store
   */
  async of(view: StateView, seqs: Iterable<number>): Promise<number[]> {
    const implied = impliedCreate(this.#store, view);
    const chain = new Set<number>();
    const waiting: number[] = [];
    let walked = 0;
    const walk = async (seq: number): Promise<void> => {
      for (const cited of authSeqsOf(this.#store, seq, implied)) {
        if (chain.has(cited)) continue;
        chain.add(cited);
        waiting.push(cited);
      }
      if (++walked % ENTRIES_IN_TURN === 0) await nextTurn();
    };
    for (const seq of seqs) await walk(seq);
    for (let seq = waiting.pop(); seq !== undefined; seq = waiting.pop()) await walk(seq);
    return [...chain].sort((a, b) => a - b);
  }
}

/** From version 12 the room id names the create event, and nobody cites it: it is in every chain all the same. */
function impliedCreate(store: Store, { rules, roomId }: StateView): number | undefined {
  return rules.authorisation.createIsImplied ? store.seqOf(createIdOfRoom(roomId)) : undefined;
}

function authSeqsOf(store: Store, seq: number, implied: number | undefined): readonly number[] {
  const authSeqs = store.chain(seq)?.authSeqs ?? [];
  return implied === undefined || seq === implied ? authSeqs : [...authSeqs, implied];
}
