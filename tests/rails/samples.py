"""Bodies as Safaricom documents them, with invented values, and a set-up of ours to meet them."""

from datetime import UTC, datetime
from uuid import UUID

from hazina.rails.mpesa.conf import MpesaConf
from hazina.rails.ports import Collection, Payout

NOW = datetime(2026, 11, 20, 11, 30, 5, tzinfo=UTC)  # 14:30:05 in Nairobi
PAYOUT_ID = UUID("019a9f3e-0b4e-7c1a-9c2f-5d77aa120441")
TOKEN = "4f0c" * 8

CONF = MpesaConf(
    base_url="https://sandbox.example",
    public_url="https://pay.example.co.ke",
    consumer_key="key",
    consumer_secret="secret",
    shortcode="600123",
    passkey="passkey",
    b2c_shortcode="600999",
    initiator_name="apiops1",
    initiator_password="Pass#word1",
    certificate=None,
    timeout_s=5,
    sources="127.0.0.1",
)
COLLECTION = Collection(
    id=PAYOUT_ID,
    amount_kes=250,
    msisdn="254711000111",
    reference="DEP-8F3K2Q",
    description="Wallet topup",
    callback_token=TOKEN,
)
PAYOUT = Payout(
    id=PAYOUT_ID,
    amount_kes=1500,
    msisdn="254711000111",
    remarks="Withdrawal",
    callback_token=TOKEN,
)

STK_PAID = b"""{"Body":{"stkCallback":{
  "MerchantRequestID":"2f1c-4d7e-9a10-0c5d77aa1204417",
  "CheckoutRequestID":"ws_CO_20112026143007123711000111",
  "ResultCode":0,
  "ResultDesc":"The service request is processed successfully.",
  "CallbackMetadata":{"Item":[
    {"Name":"Amount","Value":250.00},
    {"Name":"MpesaReceiptNumber","Value":"UKK4A1B2C3"},
    {"Name":"Balance"},
    {"Name":"TransactionDate","Value":20261120143021},
    {"Name":"PhoneNumber","Value":254711000111}]}}}}"""

STK_CANCELLED = b"""{"Body":{"stkCallback":{
  "MerchantRequestID":"2f1c-4d7e-9a10-0c5d77aa1204417",
  "CheckoutRequestID":"ws_CO_20112026143007123711000111",
  "ResultCode":1032,"ResultDesc":"Request cancelled by user"}}}"""

B2C_PAID = b"""{"Result":{"ResultType":0,"ResultCode":0,
 "ResultDesc":"The service request is processed successfully.",
 "OriginatorConversationID":"019a9f3e-0b4e-7c1a-9c2f-5d77aa120441",
 "ConversationID":"AG_20261120_2010ab","TransactionID":"UKK7X8Y9Z0",
 "ResultParameters":{"ResultParameter":[
  {"Key":"TransactionAmount","Value":1500},
  {"Key":"TransactionReceipt","Value":"UKK7X8Y9Z0"},
  {"Key":"ReceiverPartyPublicName","Value":"254711000111 - GREEN HERON"},
  {"Key":"TransactionCompletedDateTime","Value":"20.11.2026 14:31:02"},
  {"Key":"B2CUtilityAccountAvailableFunds","Value":88200.50},
  {"Key":"B2CWorkingAccountAvailableFunds","Value":120000.00},
  {"Key":"B2CRecipientIsRegisteredCustomer","Value":"Y"},
  {"Key":"B2CChargesPaidAccountAvailableFunds","Value":-1980.00}]},
 "ReferenceData":{"ReferenceItem":{"Key":"QueueTimeoutURL","Value":"https://internal.example"}}}}"""

B2C_FAILED = b"""{"Result":{"ResultType":"0","ResultCode":"2040",
 "ResultDesc":"Credit Party customer type can't be supported by the service.",
 "OriginatorConversationID":"019a9f3e-0b4e-7c1a-9c2f-5d77aa120441",
 "ConversationID":"AG_20261120_2010ab","TransactionID":"XXX0000000",
 "ReferenceData":{"ReferenceItem":{"Key":"QueueTimeoutURL","Value":"https://internal.example"}}}}"""

# The question's own ids outside, the payment's among the parameters; one key comes twice.
STATUS_COMPLETED = b"""{"Result":{"ResultType":0,"ResultCode":0,
 "ResultDesc":"The service request is processed successfully.",
 "OriginatorConversationID":"11111-22222-1","ConversationID":"AG_20261120_2010cd",
 "TransactionID":"UKK0000001",
 "ResultParameters":{"ResultParameter":[
  {"Key":"DebitPartyName","Value":"600999 - EXAMPLE"},
  {"Key":"DebitPartyName","Value":"254711000111 - GREEN HERON"},
  {"Key":"OriginatorConversationID","Value":"019a9f3e-0b4e-7c1a-9c2f-5d77aa120441"},
  {"Key":"InitiatedTime","Value":20261120143058},
  {"Key":"DebitAccountType","Value":"Utility Account"},
  {"Key":"DebitPartyCharges","Value":"Fee For B2C Payment|KES|22.40"},
  {"Key":"TransactionReason"},
  {"Key":"TransactionStatus","Value":"Completed"},
  {"Key":"FinalisedTime","Value":20261120143102},
  {"Key":"Amount","Value":1500.0},
  {"Key":"ConversationID","Value":"AG_20261120_2010ab"},
  {"Key":"ReceiptNo","Value":"UKK7X8Y9Z0"}]}}}"""
