// A stateroom and a Synapse on one machine that reach each other over TLS, and wires between them that can be cut.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, type Test } from 'uvu';
import * as assert from 'uvu/assert';
import { eventually, MatrixUser } from '../matrix-user.js';
import { RunningServer } from '../../../tools/peers/running-server.js';
import { makeCertificates } from '../../../tools/peers/certificates.js';
import { synapsePython } from '../../../tools/peers/install-synapse.js';
import { RunningSynapse, type SynapseParts } from '../../../tools/peers/running-synapse.js';
import { freePort, Wire } from '../../../tools/peers/wire.js';

/** The two servers, by the names that tests use for them. */
export type Side = 'ours' | 'theirs';

export class Pair {
  readonly #folder: string;
  readonly #parts: SynapseParts;
  readonly #ourWire: Wire;
  readonly #config: object;
  #ours: RunningServer;
  #theirs: RunningSynapse;
  #names = 0;
  readonly ourName: string;
  readonly theirName: string;

  private constructor(
    folder: string,
    parts: SynapseParts,
    ourWire: Wire,
    config: object,
    servers: { readonly ours: RunningServer; readonly theirs: RunningSynapse },
  ) {
    this.#folder = folder;
    this.#parts = parts;
    this.#ourWire = ourWire;
    this.#config = config;
    this.#ours = servers.ours;
    this.#theirs = servers.theirs;
    this.ourName = `localhost:${ourWire.port}`;
    this.theirName = servers.theirs.serverName;
  }

  static async start(): Promise<Pair> {
    const python = synapsePython();
    const folder = mkdtempSync(join(tmpdir(), 'stateroom-synapse-'));
    const certificates = makeCertificates(python, folder);
    const [ourWire, theirWire] = [await Wire.open(), await Wire.open()];
    const tlsPort = await freePort();
    const config = {
      server_name: `localhost:${ourWire.port}`,
      federation: {
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
    const parts = { python, folder: join(folder, 'theirs'), certificates, wire: theirWire };
    const [theirs, ours] = await Promise.all([
      RunningSynapse.start(parts),
      RunningServer.start({ config, folder: ourFolder }),
    ]);
    ourWire.lead(tlsPort);
    return new Pair(folder, parts, ourWire, config, { ours, theirs });
  }

  /** A new user of one of the servers, with a name that nobody had. */
  user(side: Side, name: string): Promise<MatrixUser> {
    const address = side === 'ours' ? this.#ours.address : this.#theirs.address;
    return MatrixUser.register(address, `${name}${++this.#names}`);
  }

  /** Nothing goes between the servers any more. */
  cut(): void {
    this.#ourWire.cut();
    this.#parts.wire.cut();
  }

  mend(): void {
    this.#ourWire.mend();
    this.#parts.wire.mend();
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
    await Promise.all([this.#ourWire.close(), this.#parts.wire.close()]);
    rmSync(this.#folder, { recursive: true, force: true });
    return code;
  }
}

/** A suite of tests with one pair of servers, which are started at the first use and must end well. */
export function pairSuite(name: string): { readonly test: Test; readonly pair: () => Promise<Pair> } {
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
      started ??= Pair.start();
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
