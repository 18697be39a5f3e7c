/*
 * Sends one request of RFC 3244 to 127.0.0.1:464 and prints the result code and the text of the answer, octet by octet.
 *
 * rfc3244 VERSION DATA: both in hexadecimal; DATA is what the KRB-PRIV of the request holds. The ticket of kadmin/changepw comes
 * from the credential cache, or is got by a ticket-granting ticket that is there.
 */
#include <arpa/inet.h>
#include <krb5.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static krb5_context context;

static void check(krb5_error_code code, const char *what)
{
    if (code == 0)
        return;
    fprintf(stderr, "%s: %s\n", what, krb5_get_error_message(context, code));
    exit(1);
}

static void put16(unsigned char *at, size_t number)
{
    at[0] = number >> 8;
    at[1] = number;
}

static size_t get16(const unsigned char *at)
{
    return at[0] << 8 | at[1];
}

/* Sends the message with its length and reads the answer into the same room. */
static size_t exchange(unsigned char *room, size_t size, size_t length)
{
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(464)};
    uint32_t prefix = htonl(length), answer;
    int stream = socket(AF_INET, SOCK_STREAM, 0);

    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(stream, (struct sockaddr *)&server, sizeof server) != 0 ||
        write(stream, &prefix, sizeof prefix) < 0 || write(stream, room, length) < 0 ||
        recv(stream, &answer, sizeof answer, MSG_WAITALL) != sizeof answer ||
        ntohl(answer) > size || recv(stream, room, ntohl(answer), MSG_WAITALL) != ntohl(answer)) {
        perror("the exchange");
        exit(1);
    }
    return ntohl(answer);
}

static krb5_creds *ticket(krb5_ccache cache)
{
    krb5_creds wanted = {0}, *found;

    check(krb5_cc_get_principal(context, cache, &wanted.client), "the cache");
    check(krb5_build_principal(context, &wanted.server, wanted.client->realm.length,
                               wanted.client->realm.data, "kadmin", "changepw", NULL),
          "the service");
    check(krb5_get_credentials(context, 0, cache, &wanted, &found), "a ticket");
    return found;
}

/* Writes the AP-REQ and the KRB-PRIV behind the head, which it fills too. */
static size_t request(krb5_auth_context auth, krb5_creds *creds, int version, krb5_data data,
                      unsigned char *room)
{
    krb5_data ap_req, priv;
    krb5_address address = {.addrtype = ADDRTYPE_INET, .length = 4,
                            .contents = (krb5_octet *)"\x7f\0\0\x01"};
    krb5_flags flags = AP_OPTS_USE_SUBKEY;

    check(krb5_mk_req_extended(context, &auth, flags, NULL, creds, &ap_req), "the AP-REQ");
    check(krb5_auth_con_setaddrs(context, auth, &address, NULL), "the address");
    check(krb5_mk_priv(context, auth, &data, &priv, NULL), "the KRB-PRIV");
    put16(room, 6 + ap_req.length + priv.length);
    put16(room + 2, version);
    put16(room + 4, ap_req.length);
    memcpy(room + 6, ap_req.data, ap_req.length);
    memcpy(room + 6 + ap_req.length, priv.data, priv.length);
    return 6 + ap_req.length + priv.length;
}

/* What the answer says: in a KRB-ERROR if the server could not read the request, else in a KRB-PRIV. */
static krb5_data result(krb5_auth_context auth, unsigned char *room, size_t length)
{
    size_t ap_length = get16(room + 4);
    krb5_data ap_rep = {.length = ap_length, .data = (char *)room + 6};
    krb5_data rest = {.length = length - 6 - ap_length, .data = (char *)room + 6 + ap_length};
    krb5_ap_rep_enc_part *part;
    krb5_error *error;
    krb5_data data;

    if (ap_length == 0) {
        check(krb5_rd_error(context, &rest, &error), "the KRB-ERROR");
        printf("error %d ", (int)error->error);
        return error->e_data;
    }
    check(krb5_rd_rep(context, auth, &ap_rep, &part), "the AP-REP");
    check(krb5_auth_con_setflags(context, auth, 0), "no sequence numbers");
    check(krb5_rd_priv(context, auth, &rest, &data, NULL), "the KRB-PRIV");
    return data;
}

int main(int argc, char **argv)
{
    static unsigned char room[65536];
    krb5_auth_context auth = NULL;
    krb5_ccache cache;
    krb5_data data = {0};
    size_t length, position;

    if (argc != 3)
        return 2;
    check(krb5_init_context(&context), "libkrb5");
    check(krb5_cc_default(context, &cache), "the cache");
    check(krb5_auth_con_init(context, &auth), "an auth context");
    check(krb5_auth_con_setflags(context, auth, KRB5_AUTH_CONTEXT_DO_SEQUENCE), "flags");
    data.length = strlen(argv[2]) / 2;
    data.data = malloc(data.length);
    for (position = 0; position < data.length; position++)
        sscanf(argv[2] + 2 * position, "%2hhx", (unsigned char *)data.data + position);
    length = request(auth, ticket(cache), strtol(argv[1], NULL, 16), data, room);
    length = exchange(room, sizeof room, length);
    data = result(auth, room, length);
    printf("version %zx code %zu text ", get16(room + 2), get16((unsigned char *)data.data));
    fwrite(data.data + 2, 1, data.length - 2, stdout);
    puts("");
    return 0;
}
