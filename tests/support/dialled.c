/* Preloaded into clients under test: every address that the program connects to goes into the file DIALLED, one
 * "host:port" a line, before the connection is tried. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void write_down(const char *host, in_port_t port) {
    const char *path = getenv("DIALLED");
    char line[INET6_ADDRSTRLEN + 8];
    int length = snprintf(line, sizeof line, "%s:%d\n", host, ntohs(port));
    int file = path == NULL ? -1 : open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    /* A file that cannot be written stays empty, and the test fails for that. */
    if (file >= 0 && (write(file, line, (size_t)length) != length || close(file) != 0)) {
        abort();
    }
}

int connect(int socket, const struct sockaddr *address, socklen_t length) {
    int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "connect");
    char host[INET6_ADDRSTRLEN];
    if (address->sa_family == AF_INET && length >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        write_down(inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host), v4.sin_port);
    } else if (address->sa_family == AF_INET6 && length >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        int mapped = IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr);
        const void *bytes = mapped ? (const void *)&v6.sin6_addr.s6_addr[12] : (const void *)&v6.sin6_addr;
        write_down(inet_ntop(mapped ? AF_INET : AF_INET6, bytes, host, sizeof host), v6.sin6_port);
    }
    return real(socket, address, length);
}
