import java.io.InputStream;
import java.net.URI;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;

/**
 * What Hadoop's ABFS driver, unmodified, sees in a data lake. Usage: list URI | copy FROM TO | acl URI,
 * then the driver's settings as name=value.
 */
public final class AbfsFiles {
  private AbfsFiles() {}

  public static void main(String[] args) throws Exception {
    Configuration configuration = new Configuration();
    for (String arg : args) {
      int at = arg.indexOf('=');
      if (arg.startsWith("fs.") && at > 0) {
        configuration.set(arg.substring(0, at), arg.substring(at + 1));
      }
    }
    Path path = new Path(args[1]);
    try (FileSystem files = FileSystem.newInstance(new URI(args[1]), configuration)) {
      switch (args[0]) {
        case "list" -> list(files, path);
        case "copy" -> copy(files, path, new Path(args[2]));
        case "acl" -> System.out.println(files.getAclStatus(path));
        default -> throw new IllegalArgumentException(args[0]);
      }
    }
    // The driver leaves threads behind.
    System.exit(0);
  }

  /** One line a file: its length, the SHA-256 of its bytes, and its path. */
  private static void list(FileSystem files, Path path) throws Exception {
    RemoteIterator<LocatedFileStatus> found = files.listFiles(path, true);
    while (found.hasNext()) {
      FileStatus file = found.next();
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      try (InputStream in = files.open(file.getPath())) {
        byte[] buffer = new byte[1 << 20];
        for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
          digest.update(buffer, 0, n);
        }
      }
      readAtEnd(files, file);
      String hex = HexFormat.of().formatHex(digest.digest());
      System.out.println(file.getLen() + " " + hex + " " + file.getPath().toUri().getPath());
    }
  }

  /** As readers of Parquet do: the end first, by a seek. */
  private static void readAtEnd(FileSystem files, FileStatus file) throws Exception {
    int length = (int) Math.min(8, file.getLen());
    byte[] bytes = new byte[length];
    try (FSDataInputStream in = files.open(file.getPath())) {
      in.readFully(file.getLen() - length, bytes);
    }
    if (length > 0 && Arrays.equals(bytes, new byte[length])) {
      throw new IllegalStateException("zeros at the end of " + file.getPath());
    }
  }

  /** Through this program, by the driver's own writes: append and flush. */
  private static void copy(FileSystem files, Path from, Path to) throws Exception {
    try (InputStream in = files.open(from);
        FSDataOutputStream out = files.create(to, true)) {
      in.transferTo(out);
    }
    System.out.println(files.getFileStatus(to).getLen());
  }
}
