#!/usr/bin/python3
"""The customer of client.c once more, in Python: any gRPC client can call the bank.

    client.py [ADDRESS [OBJECT]]
    client.py --of CUSTOMER ADDRESS

The address is one of gRPC's (127.0.0.1:7000, unix:PATH); the metadata
`afar-object` says which account is meant.  With --of the bank at that address is
asked for it: in a message, a reference to an object is its address and its name
there.  The stubs are made by protoc when the program starts, in the folder that
AFAR_STUBS names or in one that is removed again.
"""

import os
import subprocess
import sys
import tempfile

import grpc

HERE = os.path.dirname(os.path.abspath(__file__))
IDL = os.path.join(HERE, "..", "..", "idl")
SECONDS = 2


def make_stubs(folder):
    """Compiles account.proto, and what it takes to read it, to Python."""
    subprocess.run(
        ["protoc", "-I", HERE, "-I", IDL, "--python_out", folder, "--grpc_python_out", folder,
         "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin",
         "afar/options.proto", "afar/ref.proto", "google/rpc/status.proto", "account.proto"],
        check=True)
    sys.path.insert(0, folder)


with tempfile.TemporaryDirectory() as stubs:
    make_stubs(os.environ.get("AFAR_STUBS", stubs))
    import account_pb2
    import account_pb2_grpc
    from google.rpc import status_pb2


def pay_in(account, name, cents, note):
    request = account_pb2.DepositRequest(cents=cents, note=note)
    reply = account.Deposit(request, timeout=SECONDS, metadata=name)
    print(f"deposit     {cents:8}  balance {reply.balance_cents:8}")


def pay_in_a_batch(account, name):
    requests = (account_pb2.DepositRequest(cents=cents) for cents in range(100, 501, 100))
    reply = account.DepositAll(requests, timeout=SECONDS, metadata=name)
    print(f"batch of {reply.count}            balance {reply.balance_cents:8}")


def why_overdrawn(error):
    """The typed error in a failed call, or None."""
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                why = account_pb2.Overdrawn()
                if detail.Unpack(why):
                    return why
    return None


def take_out_too_much(account, name):
    """Too much, so that the server's typed error is seen."""
    cents = 1000000
    try:
        account.Withdraw(account_pb2.WithdrawRequest(cents=cents), timeout=SECONDS, metadata=name)
    except grpc.RpcError as error:
        why = why_overdrawn(error)
        if why is None:
            raise
        print(f"withdraw    {cents:8}  refused: {error.details()} (balance {why.balance_cents})")


def print_statement(account, name):
    for entry in account.Statement(account_pb2.StatementRequest(), timeout=SECONDS,
                                   metadata=name):
        print(f"  {entry.cents:8}  {entry.balance_cents:8}  {entry.note}")


def compare(account, name):
    """Holds an entry that is true and one that is made up against the account."""
    held = (account_pb2.Entry(cents=cents, balance_cents=cents) for cents in (2500, 999999))
    for finding in account.Reconcile(held, timeout=SECONDS, metadata=name):
        print(f"entry       {finding.entry.cents:8}  "
              f"{'known' if finding.known else 'not known here'}")


def find(customer, address):
    """Asks the bank for the account of a customer: where it is, and its name there."""
    with grpc.insecure_channel(address) as channel:
        bank = account_pb2_grpc.BankStub(channel)
        reply = bank.Open(account_pb2.OpenRequest(customer=customer), timeout=SECONDS,
                          metadata=(("afar-object", "bank"),))
    if not reply.account.address:
        sys.exit("client: the bank gives no account")
    return reply.account.address.removeprefix("grpc://"), reply.account.object.decode()


def main(address="127.0.0.1:7000", name="bank/accounts/alice"):
    metadata = (("afar-object", name),)
    with grpc.insecure_channel(address) as channel:
        account = account_pb2_grpc.AccountStub(channel)
        pay_in(account, metadata, 2500, "wages")
        pay_in_a_batch(account, metadata)
        take_out_too_much(account, metadata)
        print_statement(account, metadata)
        compare(account, metadata)


if __name__ == "__main__":
    words = sys.argv[1:]
    try:
        main(*(find(*words[1:]) if words[:1] == ["--of"] else words))
    except grpc.RpcError as error:
        sys.exit(f"client: {error.code().name}: {error.details()}")
