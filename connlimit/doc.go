// Package connlimit shares what clients hold among their addresses: connections, memory
// for large bodies, calls that wait. Nobody is refused while somebody else holds a place
// and does nothing with it.
//
// While there is room, an address may hold any number of places, because one address may
// stand for many clients: those of this machine, of a network behind one router, of a
// proxy. Once all places are held, a newcomer takes the place of one that the service
// waits for: of the address with the most places if that has more than its share, else of
// any. Of those the one that has waited longest goes first, and connections that have
// been used again go last, because their clients call and rely on them. A place that is
// being served is never taken.
package connlimit
