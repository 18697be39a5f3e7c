// A login by JAAS, and a context with a service by GSS: java Login.java user password [service keytab]
// Whatever goes wrong is told in one line.

import java.security.PrivilegedExceptionAction;
import java.util.Map;
import javax.security.auth.Subject;
import javax.security.auth.callback.Callback;
import javax.security.auth.callback.PasswordCallback;
import javax.security.auth.kerberos.KerberosTicket;
import javax.security.auth.login.AppConfigurationEntry;
import javax.security.auth.login.AppConfigurationEntry.LoginModuleControlFlag;
import javax.security.auth.login.Configuration;
import javax.security.auth.login.LoginContext;
import javax.security.auth.login.LoginException;
import org.ietf.jgss.GSSContext;
import org.ietf.jgss.GSSCredential;
import org.ietf.jgss.GSSManager;
import org.ietf.jgss.GSSName;
import org.ietf.jgss.Oid;

public class Login {
    static final GSSManager GSS = GSSManager.getInstance();

    public static void main(String[] args) throws Exception {
        Subject user;
        try {
            user = login(Map.of("principal", args[0]), args[1]);
        } catch (LoginException e) {
            System.out.println("login: " + e.getMessage());
            System.exit(1);
            return;
        }
        say(user);
        if (args.length == 2) {
            return;
        }
        String name = args[2];
        Subject service = login(
            Map.of("principal", name, "keyTab", args[3], "useKeyTab", "true", "storeKey", "true", "isInitiator", "false"),
            "");
        Oid kerberos = new Oid("1.2.840.113554.1.2.2");
        GSSContext there = Subject.doAs(service, (PrivilegedExceptionAction<GSSContext>) () ->
            GSS.createContext(GSS.createCredential(null, 0, kerberos, GSSCredential.ACCEPT_ONLY)));
        GSSContext here = Subject.doAs(user, (PrivilegedExceptionAction<GSSContext>) () -> {
            GSSName target = GSS.createName(name, new Oid("1.2.840.113554.1.2.2.1"));
            GSSContext context = GSS.createContext(target, kerberos, null, GSSContext.DEFAULT_LIFETIME);
            context.requestMutualAuth(true);
            return context;
        });
        byte[] token = new byte[0];
        while (!here.isEstablished()) {
            byte[] said = token;
            token = Subject.doAs(user, (PrivilegedExceptionAction<byte[]>) () ->
                here.initSecContext(said, 0, said.length));
            if (!there.isEstablished()) {
                token = there.acceptSecContext(token, 0, token.length);
            }
        }
        System.out.println(there.getTargName() + " was called by " + there.getSrcName());
        say(user);
    }

    static Subject login(Map<String, String> options, String password) throws LoginException {
        Configuration module = new Configuration() {
            public AppConfigurationEntry[] getAppConfigurationEntry(String name) {
                return new AppConfigurationEntry[] {
                    new AppConfigurationEntry("com.sun.security.auth.module.Krb5LoginModule",
                        LoginModuleControlFlag.REQUIRED, options)
                };
            }
        };
        LoginContext context = new LoginContext("", new Subject(), callbacks -> {
            for (Callback callback : callbacks) {
                ((PasswordCallback) callback).setPassword(password.toCharArray());
            }
        }, module);
        context.login();
        return context.getSubject();
    }

    static void say(Subject user) {
        for (KerberosTicket ticket : user.getPrivateCredentials(KerberosTicket.class)) {
            System.out.println("ticket of " + ticket.getServer());
        }
    }
}
