// What a setting is, and the checks of values that several share.

import { isIP } from 'node:net';

export type SettingValue = string | number | boolean | readonly string[] | undefined;

export interface Setting {
  /** Path in the file: `listen.port`. */
  readonly key: string;
  readonly kind: 'text' | 'number' | 'flag' | 'list';
  /** Undefined: not set unless somebody sets it. */
  readonly fallback: SettingValue;
  /** Stands in the file, commented out, where there is no fallback. */
  readonly example?: string;
  readonly doc: string;
  /** What the value must be, in words, when it is not. */
  readonly fault?: (value: SettingValue) => string | undefined;
}

export function urlFault(value: SettingValue): string | undefined {
  const text = String(value);
  const isUrl = URL.canParse(text) && /^https?:\/\//.test(text);
  return isUrl ? undefined : 'is an address that begins with https:// or http://';
}

export function notEmpty(value: SettingValue): string | undefined {
  return value === '' ? 'is not empty' : undefined;
}

export function port(value: SettingValue): string | undefined {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 65_535
    ? undefined
    : 'is a port from 0 to 65535';
}

export function networks(value: SettingValue): string | undefined {
  const areAll = (value as readonly string[]).every((network) => {
    const [address = '', bits, ...rest] = network.split('/');
    const bitsMax = isIP(address) === 4 ? 32 : 128;
    return (
      isIP(address) !== 0 &&
      rest.length === 0 &&
      (bits === undefined || (/^\d{1,3}$/.test(bits) && +bits <= bitsMax))
    );
  });
  return areAll ? undefined : 'are addresses or networks, such as 127.0.0.1 or 10.0.0.0/8';
}

export function between(min: number, max: number): (value: SettingValue) => string | undefined {
  return (value) => (Number(value) >= min && Number(value) <= max ? undefined : `is from ${min} to ${max}`);
}

export function wholeBetween(min: number, max: number): (value: SettingValue) => string | undefined {
  return (value) =>
    Number.isInteger(value) && Number(value) >= min && Number(value) <= max
      ? undefined
      : `is a whole number from ${min} to ${max}`;
}

export function oneOf(...words: readonly string[]): (value: SettingValue) => string | undefined {
  return (value) => (words.includes(String(value)) ? undefined : `is one of ${words.join(', ')}`);
}
