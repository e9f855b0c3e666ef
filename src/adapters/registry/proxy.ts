import { BlockList, isIP } from 'node:net'

/** Environment variables, by name. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * The proxy for a URL by `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, with Go's meaning: each scheme has its own,
 * loopback is never proxied, `NO_PROXY` takes hosts, `.suffixes`, addresses and CIDR blocks, each with or without a port.
 *
 * @see https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config
 */
export function proxyFor(url: URL, environment: Environment): string | undefined {
  const read = (name: string) => environment[name] || environment[name.toLowerCase()] || undefined
  const proxy = read(url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY')
  if (!proxy || isExempt(url, read('NO_PROXY') ?? '')) return undefined
  return /^[a-z]+:\/\//i.test(proxy) ? proxy : `http://${proxy}`
}

function isExempt(url: URL, noProxy: string): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = url.port || (url.protocol === 'https:' ? '443' : '80')
  if (host === 'localhost' || contains('127.0.0.0/8', host) || host === '::1') return true
  return noProxy.split(',').some((entry) => {
    const [, name = '', onlyPort] = /^\[?(.*?)\]?(?::([0-9]+))?$/.exec(entry.trim().toLowerCase()) ?? []
    if (name === '*') return true
    if (isIP(entry.trim())) return entry.trim() === host
    if (name === '' || (onlyPort !== undefined && onlyPort !== port)) return false
    if (name.includes('/')) return contains(name, host)
    const suffix = name.replace(/^\*?(?=\.)/, '')
    return host === suffix || host.endsWith(suffix.startsWith('.') ? suffix : `.${suffix}`)
  })
}

function contains(block: string, host: string): boolean {
  const [network = '', bits = ''] = block.split('/')
  const family = (address: string) => (isIP(address) === 6 ? 'ipv6' : 'ipv4')
  if (!isIP(network) || !isIP(host) || !/^[0-9]{1,3}$/.test(bits)) return false
  if (Number(bits) > (family(network) === 'ipv6' ? 128 : 32)) return false
  const blocks = new BlockList()
  blocks.addSubnet(network, Number(bits), family(network))
  return blocks.check(host, family(host))
}
