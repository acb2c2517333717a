// A stateroom and a Synapse on one machine that reach each other over TLS, wires between them that can be cut, and
// gates before each at which requests can be made to wait.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, type Test } from 'uvu';
import * as assert from 'uvu/assert';
import { eventually, type Json, MatrixUser } from '../matrix-user.js';
import { RunningServer } from '../../../tools/peers/running-server.js';
import { makeCertificates } from '../../../tools/peers/certificates.js';
import { Gate } from '../../../tools/peers/gate.js';
import { synapsePython } from '../../../tools/peers/install-synapse.js';
import { RunningSynapse, type SynapseParts } from '../../../tools/peers/running-synapse.js';
import { freePort, Wire } from '../../../tools/peers/wire.js';
import { connectAdmin } from '../../../src/server/admin/client.js';

/** The two servers, by the names that tests use for them. */
export type Side = 'ours' | 'theirs';

/** What is between the servers. */
interface Ways {
  readonly wires: Readonly<Record<Side, Wire>>;
  readonly gates: Readonly<Record<Side, Gate>>;
}

export class Pair {
  readonly #folder: string;
  readonly #parts: SynapseParts;
  readonly #wires: Ways['wires'];
  readonly #config: object;
  #ours: RunningServer;
  #theirs: RunningSynapse;
  #names = 0;
  readonly ourName: string;
  readonly theirName: string;
  /** The way to each server. */
  readonly gates: Ways['gates'];

  private constructor(
    folder: string,
    parts: SynapseParts,
    { wires, gates }: Ways,
    config: object,
    servers: { readonly ours: RunningServer; readonly theirs: RunningSynapse },
  ) {
    this.#folder = folder;
    this.#parts = parts;
    this.#wires = wires;
    this.gates = gates;
    this.#config = config;
    this.#ours = servers.ours;
    this.#theirs = servers.theirs;
    this.ourName = `localhost:${wires.ours.port}`;
    this.theirName = servers.theirs.serverName;
  }

  /** @param federation settings of ours, beside those that are needed */
  static async start(federation: object = {}): Promise<Pair> {
    const python = synapsePython();
    const folder = mkdtempSync(join(tmpdir(), 'stateroom-synapse-'));
    const certificates = makeCertificates(python, folder);
    const wires = { ours: await Wire.open(), theirs: await Wire.open() };
    const gates = { ours: await Gate.open(certificates), theirs: await Gate.open(certificates) };
    for (const side of ['ours', 'theirs'] as const) wires[side].lead(gates[side].port);
    const tlsPort = await freePort();
    const config = {
      server_name: `localhost:${wires.ours.port}`,
      federation: {
        ...federation,
        enabled: true,
        ca_file: certificates.authority,
        allow_private_networks: ['127.0.0.0/8', '::1'],
        tls: {
          address: '127.0.0.1',
          port: tlsPort,
          cert_file: certificates.certificate,
          key_file: certificates.key,
        },
      },
      rate_limits: { enabled: false },
    };
    const ourFolder = join(folder, 'ours');
    mkdirSync(ourFolder);
    const wire = { port: wires.theirs.port, lead: (port: number) => gates.theirs.lead(port) };
    const parts = { python, folder: join(folder, 'theirs'), certificates, wire };
    const [theirs, ours] = await Promise.all([
      RunningSynapse.start(parts),
      RunningServer.start({ config, folder: ourFolder }),
    ]);
    gates.ours.lead(tlsPort);
    return new Pair(folder, parts, { wires, gates }, config, { ours, theirs });
  }

  /** A new user of one of the servers, with a name that nobody had. */
  user(side: Side, name: string): Promise<MatrixUser> {
    const address = side === 'ours' ? this.#ours.address : this.#theirs.address;
    return MatrixUser.register(address, `${name}${++this.#names}`);
  }

  /** Nothing goes between the servers any more. */
  cut(): void {
    for (const wire of Object.values(this.#wires)) wire.cut();
  }

  mend(): void {
    for (const wire of Object.values(this.#wires)) wire.mend();
  }

  /** Ends a server as a power cut would, and starts it again on what it had written. */
  async crash(side: Side): Promise<void> {
    if (side === 'ours') {
      await this.#ours.kill();
      this.#ours = await RunningServer.start({ config: this.#config, folder: join(this.#folder, 'ours') });
    } else {
      await this.#theirs.kill();
      this.#theirs = await RunningSynapse.start(this.#parts);
    }
  }

  /** What an operator of ours asks of it, such as `room.progress`. */
  async askOurs<Result>(method: string, params: Json): Promise<Result> {
    const admin = await connectAdmin(join(this.#folder, 'ours', 'data'));
    try {
      return await admin.call<Result>(method, params);
    } finally {
      admin.close();
    }
  }

  /** Is the state of the room not all known to a server that joined it? */
  async isPartial(side: Side, roomId: string): Promise<boolean> {
    if (side === 'ours') return (await this.askOurs('room.progress', { room_id: roomId })) !== null;
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
    return this.#ours.log().join('\n');
  }

  theirLog(): string {
    return this.#theirs.log();
  }

  /** What our server complained of that is a fault of its own. */
  errors(): readonly string[] {
    return this.#ours.complaints().filter((line) => !line.includes('"level":"warn"'));
  }

  async stop(): Promise<number | null> {
    const [code] = await Promise.all([this.#ours.stop(), this.#theirs.stop()]);
    const ways = [...Object.values(this.#wires), ...Object.values(this.gates)];
    await Promise.all(ways.map((way) => way.close()));
    rmSync(this.#folder, { recursive: true, force: true });
    return code;
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
    const errors = pair.errors();
    assert.is(await pair.stop(), 0);
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
