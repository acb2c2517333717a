// A stateroom among other servers of this machine: with TLS, behind a wire that can be cut and a gate at which
// requests can be made to wait.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { connectAdmin } from '../../../src/server/admin/client.js';
import type { Certificates } from '../../../tools/peers/certificates.js';
import { Gate } from '../../../tools/peers/gate.js';
import { RunningServer } from '../../../tools/peers/running-server.js';
import { freePort, Wire } from '../../../tools/peers/wire.js';
import type { Json } from '../matrix-user.js';

export interface SiteParts {
  /** Made for it. */
  readonly folder: string;
  readonly certificates: Certificates;
  /** Settings of federation beside those that are needed. */
  readonly federation: object;
}

export class OurSite {
  readonly #folder: string;
  readonly #config: object;
  #server: RunningServer;
  readonly wire: Wire;
  readonly gate: Gate;

  private constructor(
    folder: string,
    config: object,
    { wire, gate }: { readonly wire: Wire; readonly gate: Gate },
    server: RunningServer,
  ) {
    this.#folder = folder;
    this.#config = config;
    this.wire = wire;
    this.gate = gate;
    this.#server = server;
  }

  static async start({ folder, certificates, federation }: SiteParts): Promise<OurSite> {
    const wire = await Wire.open();
    const gate = await Gate.open(certificates);
    const port = await freePort();
    wire.lead(gate.port);
    gate.lead(port);
    const config = {
      server_name: `localhost:${wire.port}`,
      federation: {
        ...federation,
        enabled: true,
        ca_file: certificates.authority,
        allow_private_networks: ['127.0.0.0/8', '::1'],
        tls: {
          address: '127.0.0.1',
          port,
          cert_file: certificates.certificate,
          key_file: certificates.key,
        },
      },
      rate_limits: { enabled: false },
    };
    mkdirSync(folder);
    return new OurSite(folder, config, { wire, gate }, await RunningServer.start({ config, folder }));
  }

  get serverName(): string {
    return `localhost:${this.wire.port}`;
  }

  /** Of the client-server API; another one when the server is started again. */
  get address(): string {
    return this.#server.address;
  }

  /** Ends it as a power cut would, and starts it again on what it had written. */
  async crash(): Promise<void> {
    await this.#server.kill();
    this.#server = await RunningServer.start({ config: this.#config, folder: this.#folder });
  }

  /** What an operator asks, such as `room.progress`. */
  async ask<Result>(method: string, params: Json): Promise<Result> {
    const admin = await connectAdmin(join(this.#folder, 'data'));
    try {
      return await admin.call<Result>(method, params);
    } finally {
      admin.close();
    }
  }

  log(): string {
    return this.#server.log().join('\n');
  }

  /** What it complained of that is a fault of its own. */
  errors(): readonly string[] {
    return this.#server.complaints().filter((line) => !line.includes('"level":"warn"'));
  }

  async stop(): Promise<number | null> {
    const code = await this.#server.stop();
    await Promise.all([this.wire.close(), this.gate.close()]);
    return code;
  }
}
