/* Reads messages by the decoders of MIT krb5's own KDC. libkrb5 exports them, and no header that is installed declares them.
 *
 * stdin: an octet that names the decoder, four octets of length, the message; and so on.
 * stdout: a line for each, the error code: 0 if it was read. */
#include <arpa/inet.h>
#include <krb5.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef krb5_error_code decoder(const krb5_data *, void **);
typedef void freer(krb5_context, void *);

extern decoder decode_krb5_as_req, decode_krb5_tgs_req, decode_krb5_ap_req, decode_krb5_priv, decode_krb5_pa_fx_fast_request;
extern freer krb5_free_kdc_req, krb5_free_ap_req, krb5_free_priv, krb5_free_fast_armored_req;

static const struct {
    int name;
    decoder *decode;
    freer *release;
} kinds[] = {
    {'A', decode_krb5_as_req, krb5_free_kdc_req},
    {'T', decode_krb5_tgs_req, krb5_free_kdc_req},
    {'R', decode_krb5_ap_req, krb5_free_ap_req},
    {'P', decode_krb5_priv, krb5_free_priv},
    {'F', decode_krb5_pa_fx_fast_request, krb5_free_fast_armored_req},
};

int main(void)
{
    krb5_context context;
    int name;

    if (krb5_init_context(&context) != 0)
        return 1;
    while ((name = getchar()) != EOF) {
        uint32_t length;
        size_t kind = 0;
        void *message = NULL;
        krb5_data octets = {0};
        krb5_error_code code;

        while (kinds[kind].name != name)
            if (++kind == sizeof(kinds) / sizeof(kinds[0]))
                return 2;
        if (fread(&length, sizeof(length), 1, stdin) != 1)
            return 3;
        octets.length = ntohl(length);
        /* As long as it is, so that what reads past its end is seen by whoever looks. */
        octets.data = malloc(octets.length);
        if (octets.data == NULL || fread(octets.data, 1, octets.length, stdin) != octets.length)
            return 4;
        code = kinds[kind].decode(&octets, &message);
        if (code == 0)
            kinds[kind].release(context, message);
        free(octets.data);
        printf("%ld\n", (long)code);
    }
    krb5_free_context(context);
    return 0;
}
