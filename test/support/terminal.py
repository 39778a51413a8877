"""A pseudo-terminal for terminal.ts: runs a program in it, as the leader of a session of its own.

Lines of JSON come in: {"write": text}, {"resize": [columns, rows]}. Lines of JSON go out: {"output": text}, at last {"exit": code}.
"""
import codecs, fcntl, json, os, pty, select, struct, sys, termios

columns, rows = int(sys.argv[1]), int(sys.argv[2])


def resize(fd, columns, rows):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def say(**message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


pid, fd = pty.fork()
if pid == 0:
    resize(0, columns, rows)
    os.execvp(sys.argv[3], sys.argv[3:])
say(pid=pid)
decoder = codecs.getincrementaldecoder("utf-8")("replace")
pending = b""
inputs = [fd, sys.stdin.fileno()]
while fd in inputs:
    for ready in select.select(inputs, [], [])[0]:
        try:
            data = os.read(ready, 65536)
        except OSError:  # EIO: nobody has the terminal open any more
            data = b""
        if ready == fd:
            if data:
                say(output=decoder.decode(data))
            else:
                inputs.remove(fd)
        elif not data:
            inputs.remove(ready)
        else:
            pending += data
            *lines, pending = pending.split(b"\n")
            for line in lines:
                message = json.loads(line)
                if "write" in message:
                    os.write(fd, message["write"].encode())
                if "resize" in message:
                    resize(fd, *message["resize"])
_, status = os.waitpid(pid, 0)
say(exit=os.waitstatus_to_exitcode(status))
