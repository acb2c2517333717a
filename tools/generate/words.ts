// Names and sentences of a believable length and mixture, all invented.

import type { Random } from './random.js';

const words = (
  'room state event server branch merge member topic quiet morning release patch build network bridge client ' +
  'engine river copper walnut signal green window paper cloud garden metric ladder marble thread queue static ' +
  'about after before between into over under with without while again maybe really nearly almost always never ' +
  'fixed broke works tested wrote read asked found lost moved kept made gone left right next first last other'
).split(' ');

const givenNames = (
  'Ada Bela Chidi Dara Emeka Farah Goran Hana Ines Jonas Kofi Lena Mira Nuri Oskar Priya Quinn Rosa Sefa Tariq ' +
  'Uma Vera Wanda Xenia Yusuf Zora Ásdís Łukasz Søren Željko Мария 美咲 رنا'
).split(' ');

const ornaments = ['', '', '', '', '', '', ' 🌱', ' (away)', ' | they/them', ' ✨', ' [m]', ' 🦀'];

const hosts =
  'birch cedar copper delta ember fjord grove harbor indigo juniper kelp lumen maple north onyx pine'.split(
    ' ',
  );

/** A sentence of so many words. */
export function sentence(random: Random, length: number): string {
  const drawn = Array.from({ length }, () => random.pick(words)).join(' ');
  return `${drawn.charAt(0).toUpperCase()}${drawn.slice(1)}.`;
}

/** A person's display name: not unique, not always ASCII. */
export function displayName(random: Random): string {
  return random.pick(givenNames) + random.pick(ornaments);
}

/** A user's localpart, unique by its number. */
export function localpart(random: Random, number: number): string {
  return `${random.pick(words)}${random.oneIn(3) ? '.' : '_'}${random.pick(words)}${number}`;
}

/** A server's name, unique by its number, under a top-level domain reserved for examples (RFC 2606). */
export function serverName(random: Random, number: number): string {
  return `${random.pick(hosts)}${number}.example${random.oneIn(5) ? ':8448' : ''}`;
}
