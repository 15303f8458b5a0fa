import { CadreError } from '../core/failures';
import { type ArtifactStore, FileArtifactStore } from './artifact-store';
import { type Environment, artifactsFolder } from './folders';
import { S3ArtifactStore, type S3Credentials } from './s3-artifact-store';

const FORM = 's3://BUCKET/PREFIX?endpoint=URL&region=REGION';

/**
 * The artifact store that `CADRE_ARTIFACTS` names: a folder, or `s3://BUCKET/PREFIX?endpoint=URL&region=REGION`, where all
 * but the bucket may be left out. Without it, the folder `artifacts` in the data folder.
 *
 * Of S3 the region is else that of `AWS_REGION` or `AWS_DEFAULT_REGION`, and the credentials are those of
 * `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`. Throws InputInvalid.
 */
export function openArtifacts(environment: Environment = process.env): ArtifactStore {
  const own = environment['CADRE_ARTIFACTS'];
  return own?.startsWith('s3:')
    ? bucketOf(own, environment)
    : new FileArtifactStore(artifactsFolder(environment));
}

function bucketOf(address: string, environment: Environment): S3ArtifactStore {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  // The address is not in the messages: somebody may have put credentials into it.
  if (url === undefined || url.host === '') throw invalid(`to be a folder or ${FORM}`);
  if (url.username !== '' || url.password !== '') {
    throw invalid('without credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY');
  }
  const unknown = [...url.searchParams.keys()].filter((key) => key !== 'endpoint' && key !== 'region');
  if (unknown.length > 0) throw invalid(`to be ${FORM}, without ${unknown.join(', ')}`);
  const endpoint = url.searchParams.get('endpoint');
  const region =
    url.searchParams.get('region') || environment['AWS_REGION'] || environment['AWS_DEFAULT_REGION'];
  return new S3ArtifactStore({
    bucket: url.host,
    prefix: url.pathname.replace(/^\/|\/$/g, ''),
    ...(endpoint ? { endpoint } : {}),
    ...(region ? { region } : {}),
    credentials: credentialsOf(environment),
  });
}

function credentialsOf(environment: Environment): S3Credentials {
  const accessKeyId = environment['AWS_ACCESS_KEY_ID'];
  const secretAccessKey = environment['AWS_SECRET_ACCESS_KEY'];
  const sessionToken = environment['AWS_SESSION_TOKEN'];
  if (!accessKeyId || !secretAccessKey) {
    throw invalid('in S3 with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY set');
  }
  return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
}

function invalid(expected: string): CadreError {
  return new CadreError('InputInvalid', `Expected CADRE_ARTIFACTS ${expected}`);
}
