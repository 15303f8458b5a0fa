/**
 * Which addresses a tool may connect to. By the registries of special-purpose addresses of IANA, which are wider than what is
 * commonly called private.
 *
 * An IPv6 address that holds an IPv4 one (mapped, or NAT64) is judged by that; other ways to hold one are refused as a whole.
 */
import { BlockList, isIP } from 'node:net';

/** `public`; `private`: of this machine or its networks; `refused`: for nobody, whatever is allowed. */
export type AddressKind = 'public' | 'private' | 'refused';

type Family = 'ipv4' | 'ipv6';

/** What `allowPrivate` allows. */
const PRIVATE = listOf(
  ['10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'],
  ['::1/128', 'fc00::/7'],
);

/** Where clouds tell a machine its keys, of those that lie in ranges that may be allowed, or are public. */
const METADATA = ['100.100.100.200/32', '168.63.129.16/32'];
const METADATA_6 = ['fd00:ec2::254/128', 'fd20:ce::254/128'];

const REFUSED = listOf(
  [
    '0.0.0.0/8',
    '169.254.0.0/16',
    '192.0.0.0/24',
    '192.0.2.0/24',
    '192.88.99.0/24',
    '198.18.0.0/15',
    '198.51.100.0/24',
    '203.0.113.0/24',
    '224.0.0.0/4',
    '240.0.0.0/4',
    ...METADATA,
  ],
  ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20', ...METADATA_6],
);

/** What is given to hosts on the internet; all else of IPv6 has another use, or none. */
const GLOBAL_6 = listOf([], ['2000::/3']);

const NAT64 = ['64', 'ff9b', '0', '0', '0', '0'];
const MAPPED = ['0', '0', '0', '0', '0', 'ffff'];

/** `refused` also for what is no address, or names an interface (`fe80::1%eth0`). */
export function addressKind(address: string): AddressKind {
  if (address.includes('%')) return 'refused';
  switch (isIP(address)) {
    case 4:
      return kindOf(address, 'ipv4');
    case 6: {
      const inner = innerAddress(address);
      return inner === undefined ? kindOf(address, 'ipv6') : kindOf(inner, 'ipv4');
    }
    default:
      return 'refused';
  }
}

function kindOf(address: string, family: Family): AddressKind {
  if (REFUSED.check(address, family)) return 'refused';
  if (PRIVATE.check(address, family)) return 'private';
  return family === 'ipv4' || GLOBAL_6.check(address, family) ? 'public' : 'refused';
}

/** The IPv4 address in an IPv6 one, where it is mapped or NAT64. */
function innerAddress(address: string): string | undefined {
  const groups = groupsOf(address);
  const holds = (prefix: readonly string[]): boolean => prefix.every((group, at) => groups[at] === group);
  if (!holds(NAT64) && !holds(MAPPED)) return undefined;
  return groups
    .slice(6)
    .map((group) => Number.parseInt(group, 16))
    .flatMap((group) => [group >> 8, group & 0xff])
    .join('.');
}

/** All eight, in hexadecimal without leading zeros, as the URL standard writes them. */
function groupsOf(address: string): readonly string[] {
  const written = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [before = [], after = []] = written
    .split('::')
    .map((half) => half.split(':').filter((group) => group !== ''));
  const missing = 8 - before.length - after.length;
  return [...before, ...Array.from({ length: missing }, () => '0'), ...after];
}

function listOf(ipv4: readonly string[], ipv6: readonly string[]): BlockList {
  const list = new BlockList();
  const add = (ranges: readonly string[], family: Family): void => {
    for (const range of ranges) {
      const [network = '', bits] = range.split('/');
      list.addSubnet(network, Number(bits), family);
    }
  };
  add(ipv4, 'ipv4');
  add(ipv6, 'ipv6');
  return list;
}
