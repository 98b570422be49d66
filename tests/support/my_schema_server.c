/* Preloaded into the proxy under test: "my-schema-server", as a documentation spells it, resolves to this machine, and
 * connections to port 443 here go to port MY_SCHEMA_SERVER_PORT. No privileges are needed for that. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result) {
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        dlsym(RTLD_NEXT, "getaddrinfo");
    int ours = node != NULL && strcmp(node, "my-schema-server") == 0;
    return real(ours ? "127.0.0.1" : node, service, hints, result);
}

int connect(int socket, const struct sockaddr *address, socklen_t length) {
    int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "connect");
    const char *port = getenv("MY_SCHEMA_SERVER_PORT");
    if (port != NULL && address->sa_family == AF_INET && length >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in copy;
        memcpy(&copy, address, sizeof copy);
        if (copy.sin_port == htons(443) && copy.sin_addr.s_addr == htonl(INADDR_LOOPBACK)) {
            copy.sin_port = htons((unsigned short)atoi(port));
            return real(socket, (struct sockaddr *)&copy, sizeof copy);
        }
    }
    return real(socket, address, length);
}
