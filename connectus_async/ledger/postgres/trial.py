"""scratch"""
from connectus_async.ledger.postgres.ledger import PostgresLedger
class TrialLedger(PostgresLedger):
    def __init__(self, address): super().__init__(address, lease=10)
