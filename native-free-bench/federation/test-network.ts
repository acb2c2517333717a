// Servers of a benchmark that reach each other: certificates, and what their configuration says of the network.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Authority, type Certificate } from '../../tools/peers/authority.js';

export class TestNetwork {
  readonly #authority = new Authority('authority of a benchmark');
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** @param folder where certificates are written */
  static async make(folder: string): Promise<TestNetwork> {
    const network = new TestNetwork(folder);
    await writeFile(network.#path('ca.pem'), network.ca);
    return network;
  }

  /** PEM. */
  get ca(): string {
    return this.#authority.cert;
  }

  issue(...names: readonly string[]): Certificate {
    return this.#authority.issue(...names);
  }

  /**
   * The configuration of a server that listens with TLS.
   * @param settings of federation beside that, such as `resolve`: other servers that are reached at a place
   */
  async config(serverName: string, tlsPort: number, settings: object = {}): Promise<object> {
    const { cert, key } = this.issue('localhost', serverName.replace(/:\d+$/, ''));
    const [certFile, keyFile] = [this.#path(`${tlsPort}.pem`), this.#path(`${tlsPort}.key`)];
    await writeFile(certFile, cert);
    await writeFile(keyFile, key);
    return {
      server_name: serverName,
      federation: {
        enabled: true,
        ca_file: this.#path('ca.pem'),
        allow_private_networks: ['127.0.0.0/8', '::1'],
        ...settings,
        tls: { address: '127.0.0.1', port: tlsPort, cert_file: certFile, key_file: keyFile },
      },
      rate_limits: { enabled: false },
    };
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }
}
