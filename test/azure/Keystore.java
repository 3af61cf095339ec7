import java.io.FileInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.interfaces.RSAPrivateCrtKey;
import java.security.cert.X509Certificate;
import java.util.Collections;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSession;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/**
 * Uses a keystore as Spark does: as key store and as trust store, of a type that is named, with one
 * password for store and key. Makes a TLS handshake in which both ends show and check a certificate.
 * Arguments: type, file, file of the password, name of the server, TLS version. Prints what it found.
 */
public final class Keystore {
  public static void main(String[] args) throws Exception {
    char[] password = Files.readString(Path.of(args[2])).strip().toCharArray();
    KeyStore store = KeyStore.getInstance(args[0]);
    try (FileInputStream in = new FileInputStream(args[1])) {
      store.load(in, password);
    } catch (IOException refused) {
      System.out.println("refused " + refused.getMessage());
      return;
    }
    for (String alias : Collections.list(store.aliases())) {
      X509Certificate certificate = (X509Certificate) store.getCertificate(alias);
      RSAPrivateCrtKey key = (RSAPrivateCrtKey) store.getKey(alias, password);
      System.out.println("alias " + alias + " isKey " + store.isKeyEntry(alias));
      System.out.println("bits " + key.getModulus().bitLength());
      System.out.println("signature " + certificate.getSigAlgName());
    }
    System.out.println("handshake " + handshake(store, password, args[3], args[4]));
  }

  private static String handshake(KeyStore store, char[] password, String name, String version)
      throws Exception {
    KeyManagerFactory keys = KeyManagerFactory.getInstance("PKIX");
    keys.init(store, password);
    TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
    trust.init(store);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
    try (SSLServerSocket server =
        (SSLServerSocket) context.getServerSocketFactory().createServerSocket(0)) {
      server.setNeedClientAuth(true);
      Thread thread = new Thread(() -> answer(server));
      thread.start();
      try (SSLSocket socket =
          (SSLSocket)
              context
                  .getSocketFactory()
                  .createSocket(new java.net.Socket("127.0.0.1", server.getLocalPort()), name, 0, true)) {
        SSLParameters parameters = socket.getSSLParameters();
        // Checks the name of the server against the certificate, as HTTPS does.
        parameters.setEndpointIdentificationAlgorithm("HTTPS");
        parameters.setProtocols(new String[] {version});
        socket.setSSLParameters(parameters);
        SSLSession session = socket.getSession();
        int read = socket.getInputStream().read();
        if (read != 7) return "broken";
        return session.getProtocol() + " " + session.getPeerPrincipal().getName();
      } catch (IOException refused) {
        return "refused";
      } finally {
        thread.join(10_000);
      }
    }
  }

  private static void answer(SSLServerSocket server) {
    try (SSLSocket socket = (SSLSocket) server.accept()) {
      socket.getOutputStream().write(7);
      socket.getOutputStream().flush();
      // The client has to have shown its certificate.
      socket.getSession().getPeerCertificates();
    } catch (IOException gone) {
      // The client refused: it says so.
    }
  }
}
