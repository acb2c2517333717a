// A stateroom and a Synapse on one machine that reach each other over TLS, wires between them that can be cut, and
// gates before each at which requests can be made to wait.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, type Test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Certificates, makeCertificates } from '../../../tools/peers/certificates.js';
import { Gate } from '../../../tools/peers/gate.js';
import { synapsePython } from '../../../tools/peers/install-synapse.js';
import { RunningSynapse, type SynapseParts } from '../../../tools/peers/running-synapse.js';
import { Wire } from '../../../tools/peers/wire.js';
import { eventually, MatrixUser } from '../matrix-user.js';
import { OurSite } from './our-site.js';

/** The two servers, by the names that tests use for them. */
export type Side = 'ours' | 'theirs';

export class Pair {
  readonly #folder: string;
  readonly #certificates: Certificates;
  readonly #parts: SynapseParts;
  readonly #ours: OurSite;
  #theirs: RunningSynapse;
  #third: Promise<OurSite> | undefined;
  #names = 0;
  readonly ourName: string;
  readonly theirName: string;
  /** The way to each server, and what stands before it. */
  readonly wires: Readonly<Record<Side, Wire>>;
  readonly gates: Readonly<Record<Side, Gate>>;

  private constructor(
    folder: string,
    parts: SynapseParts,
    ways: { readonly wire: Wire; readonly gate: Gate },
    servers: { readonly ours: OurSite; readonly theirs: RunningSynapse },
  ) {
    this.#folder = folder;
    this.#certificates = parts.certificates;
    this.#parts = parts;
    this.#ours = servers.ours;
    this.#theirs = servers.theirs;
    this.ourName = servers.ours.serverName;
    this.theirName = servers.theirs.serverName;
    this.wires = { ours: servers.ours.wire, theirs: ways.wire };
    this.gates = { ours: servers.ours.gate, theirs: ways.gate };
  }

  /** @param federation settings of ours, beside those that are needed */
  static async start(federation: object = {}): Promise<Pair> {
    const python = synapsePython();
    const folder = mkdtempSync(join(tmpdir(), 'stateroom-synapse-'));
    const certificates = makeCertificates(python, folder);
    const ways = { wire: await Wire.open(), gate: await Gate.open(certificates) };
    const { wire, gate } = ways;
    wire.lead(gate.port);
    const place = { port: wire.port, lead: (port: number) => gate.lead(port) };
    const parts = { python, folder: join(folder, 'theirs'), certificates, wire: place };
    const [theirs, ours] = await Promise.all([
      RunningSynapse.start(parts),
      OurSite.start({ folder: join(folder, 'ours'), certificates, federation }),
    ]);
    return new Pair(folder, parts, ways, { ours, theirs });
  }

  /** Another server of our make, beside the two. */
  third(): Promise<OurSite> {
    this.#third ??= OurSite.start({
      folder: join(this.#folder, 'third'),
      certificates: this.#certificates,
      federation: {},
    });
    return this.#third;
  }

  /** A new user of a server, with a name that nobody had. */
  user(server: Side | OurSite, name: string): Promise<MatrixUser> {
    const address = typeof server === 'string' ? this.address(server) : server.address;
    return MatrixUser.register(address, `${name}${++this.#names}`);
  }

  /** Nothing goes between the servers any more. */
  cut(): void {
    for (const wire of Object.values(this.wires)) wire.cut();
  }

  mend(): void {
    for (const wire of Object.values(this.wires)) wire.mend();
  }

  /** Ends a server as a power cut would, and starts it again on what it had written. */
  async crash(side: Side): Promise<void> {
    if (side === 'ours') {
      await this.#ours.crash();
    } else {
      await this.#theirs.kill();
      this.#theirs = await RunningSynapse.start(this.#parts);
    }
  }

  /** Is the state of the room not all known to a server that joined it? */
  async isPartial(side: Side, roomId: string): Promise<boolean> {
    if (side === 'ours') return (await this.#ours.ask('room.progress', { room_id: roomId })) !== null;
    return (await this.#theirs.partialRooms()).includes(roomId);
  }

  /** The name of a server. */
  nameOf(side: Side): string {
    return side === 'ours' ? this.ourName : this.theirName;
  }

  /** The address of a server: it changes when the server is started again. */
  address(side: Side): string {
    return side === 'ours' ? this.#ours.address : this.#theirs.address;
  }

  ourLog(): string {
    return this.#ours.log();
  }

  theirLog(): string {
    return this.#theirs.log();
  }

  /** What servers of our make complained of that is a fault of their own. */
  async errors(): Promise<readonly string[]> {
    return [...this.#ours.errors(), ...((await this.#third)?.errors() ?? [])];
  }

  /** @returns the exit codes of those of our make */
  async stop(): Promise<ReadonlyArray<number | null>> {
    const sites = [this.#ours, ...(this.#third === undefined ? [] : [await this.#third])];
    const [codes] = await Promise.all([Promise.all(sites.map((site) => site.stop())), this.#theirs.stop()]);
    await Promise.all([this.wires.theirs.close(), this.gates.theirs.close()]);
    rmSync(this.#folder, { recursive: true, force: true });
    return codes;
  }
}

/**
 * A suite of tests with one pair of servers, which are started at the first use and must end well.
 * @param federation settings of ours
 */
export function pairSuite(
  name: string,
  federation: object = {},
): { readonly test: Test; readonly pair: () => Promise<Pair> } {
  const test = suite(name);
  let started: Promise<Pair> | undefined;
  test.after(async () => {
    // A start that failed has failed the tests already.
    const pair = await started?.catch(() => undefined);
    if (pair === undefined) return;
    const errors = await pair.errors();
    for (const code of await pair.stop()) assert.is(code, 0);
    assert.equal(errors, []);
  });
  return {
    test,
    pair: () => {
      started ??= Pair.start(federation);
      return started;
    },
  };
}

/** Both users' servers tell the same state of a room, key by key. */
export async function sameState(roomId: string, ours: MatrixUser, theirs: MatrixUser): Promise<void> {
  const both = await eventually(
    `one state of ${roomId} on both sides`,
    async () => ({ ours: await ours.state(roomId), theirs: await theirs.state(roomId) }),
    (states) => JSON.stringify(states.ours) === JSON.stringify(states.theirs),
  );
  assert.equal(both.ours, both.theirs);
}
